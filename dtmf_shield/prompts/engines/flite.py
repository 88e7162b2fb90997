"""flite (BSD-like licence, Debian ``flite``), a separate process: plain English with an American accent."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Final

from dtmf_shield.prompts.engines.engine import Voice, found, read_wav, run, version_of
from dtmf_shield.prompts.script import Segment
from dtmf_shield.prompts.sound.shaping import Sound

PROGRAM: Final = "flite"
VOICE: Final = "slt"
_STRETCH: Final = 1.1
"""A tenth slower than its default, as the others are."""


class Flite:
    """flite as it is installed."""

    name = PROGRAM

    def voice(self, language: str) -> Voice | None:
        """Return its female voice for English, none for other languages."""
        if language.lower().partition("-")[0] != "en":
            return None
        return Voice(self.name, _version(), VOICE)

    def speak(self, segment: Segment, voice: Voice) -> Sound:
        """Return the segment as speech at 16 kHz. Text and sound go through files: argv is for short things."""
        stretch = _STRETCH * 100 / segment.rate_percent
        with tempfile.TemporaryDirectory(prefix="dtmf-shield-flite-") as directory:
            text, wav = Path(directory, "text"), Path(directory, "speech.wav")
            text.write_text(segment.text, "utf-8")
            run(
                [
                    PROGRAM,
                    "-voice",
                    voice.name,
                    "--setf",
                    f"duration_stretch={stretch:.3f}",
                    "-f",
                    str(text),
                    "-o",
                    str(wav),
                ]
            )
            return read_wav(wav.read_bytes() if wav.exists() else b"", PROGRAM)


def installed() -> Flite | None:
    """Return the engine, none where it is not installed."""
    return Flite() if found(PROGRAM) else None


@functools.cache
def _version() -> str:
    words = version_of(PROGRAM).split()
    return next((word.removeprefix("flite-") for word in words if word.startswith("flite-")), "unknown")
