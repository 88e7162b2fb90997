"""piper (GPL-3.0-or-later, PyPI ``piper-tts``), a separate process, never imported: neural voices from files.

A voice is ``NAME.onnx`` with ``NAME.onnx.json`` beside it. The folder of voices is named by the operator; a voice
speaks a language when its file name begins with the tag (``en_GB-…``), or with its primary language.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Final

from dtmf_shield.prompts.engines.engine import Voice, found, read_wav, run
from dtmf_shield.prompts.errors import EngineError
from dtmf_shield.prompts.script import Segment
from dtmf_shield.prompts.sound.shaping import Sound

PROGRAM: Final = "piper"
_HASH_CHARACTERS: Final = 16


class Piper:
    """piper as it is installed, with a folder of voices."""

    name = PROGRAM

    def __init__(self, voices: Path) -> None:
        self._voices = voices
        self._hashes: dict[Path, str] = {}

    def voice(self, language: str) -> Voice | None:
        """Return the first voice of the tag, else of its primary language. The model's hash is its version."""
        tag = language.replace("-", "_").lower()
        models = sorted(self._voices.glob("*.onnx"))
        for wanted in (tag, tag.partition("_")[0]):
            for model in models:
                if model.name.lower().startswith(wanted):
                    return Voice(self.name, self._hash(model), model.name)
        return None

    def speak(self, segment: Segment, voice: Voice) -> Sound:
        """Return the segment as speech at the model's rate."""
        length_scale = f"{100 / segment.rate_percent:.3f}"
        with tempfile.TemporaryDirectory(prefix="dtmf-shield-piper-") as directory:
            wav = Path(directory, "speech.wav")
            model = str(self._voices / voice.name)
            command = [PROGRAM, "--model", model, "--length-scale", length_scale, "--output_file", str(wav)]
            run(command, normal_line(segment.text))
            return read_wav(wav.read_bytes() if wav.exists() else b"", PROGRAM)

    def _hash(self, model: Path) -> str:
        if model not in self._hashes:
            try:
                with model.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise EngineError(
                    f"{model} cannot be read ({error.strerror}); name a readable voice"
                ) from None
            self._hashes[model] = digest[:_HASH_CHARACTERS]
        return self._hashes[model]


def normal_line(text: str) -> str:
    """Return ``text`` as the one line that piper speaks as one utterance."""
    return " ".join(text.split()) + "\n"


def installed(voices: Path | None) -> Piper | None:
    """Return the engine, none where it is not installed or no folder of voices is named."""
    return Piper(voices) if voices is not None and found(PROGRAM) else None
