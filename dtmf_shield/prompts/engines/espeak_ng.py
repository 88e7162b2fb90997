"""espeak-ng (GPL-3.0, Debian ``espeak-ng``), a separate process: every language, understandable, a draft voice."""

from __future__ import annotations

import functools
from typing import Final

from dtmf_shield.prompts.engines.engine import VERSION_TIMEOUT_S, Voice, found, read_wav, run, version_of
from dtmf_shield.prompts.script import Segment
from dtmf_shield.prompts.sound.shaping import Sound

PROGRAM: Final = "espeak-ng"
WORDS_PER_MINUTE: Final = 150
"""Below its default of 175: callers hold a card in the other hand."""
_LANGUAGE_COLUMN: Final = 1


class EspeakNg:
    """espeak-ng as it is installed."""

    name = PROGRAM

    def voice(self, language: str) -> Voice | None:
        """Return the voice of the tag, else of its primary language."""
        version, languages = _installed()
        tag = language.lower()
        for wanted in (tag, tag.partition("-")[0]):
            if wanted in languages:
                return Voice(self.name, version, wanted, draft=True)
        return None

    def speak(self, segment: Segment, voice: Voice) -> Sound:
        """Return the segment as speech at 22.05 kHz."""
        words_per_minute = WORDS_PER_MINUTE * segment.rate_percent // 100
        command = [PROGRAM, "-v", voice.name, "-s", str(words_per_minute), "--stdin", "--stdout"]
        return read_wav(run(command, segment.text), PROGRAM)


def installed() -> EspeakNg | None:
    """Return the engine, none where it is not installed."""
    return EspeakNg() if found(PROGRAM) else None


@functools.cache
def _installed() -> tuple[str, frozenset[str]]:
    """Return version and language tags. It speaks them all by rules; mbrola voices need files and are left out."""
    listing = run([PROGRAM, "--voices"], timeout_s=VERSION_TIMEOUT_S).decode("utf-8", errors="replace")
    rows = [line.split() for line in listing.splitlines()[1:] if "mb/" not in line]
    number = next((word for word in version_of(PROGRAM).split() if word[0].isdigit()), "unknown")
    return number, frozenset(row[_LANGUAGE_COLUMN] for row in rows if len(row) > _LANGUAGE_COLUMN)
