"""A person's recordings: ``prompts/LANGUAGE/NAME.wav`` beside the flows. They come before every engine."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from dtmf_shield.prompts.engines.engine import Voice
from dtmf_shield.prompts.errors import PromptError
from dtmf_shield.prompts.sound.shaping import SOUND_S_MAX, Sound

NAME: Final = "recorded"
FOLDER: Final = "prompts"
_SUFFIXES: Final = (".wav", ".ul", ".al")
_HEADERLESS: Final = {".ul": "ULAW", ".al": "ALAW"}
_HEADERLESS_HZ: Final = 8_000
SAMPLE_RATE_HZ_MIN: Final = 8_000
SAMPLE_RATE_HZ_MAX: Final = 96_000
_OCTETS_MAX: Final = SOUND_S_MAX * SAMPLE_RATE_HZ_MAX * 8


def find(folder: Path | None, language: str, names: tuple[str, ...]) -> Path | None:
    """Return the first recording there is of ``names``, in the language's folder."""
    if folder is None:
        return None
    candidates = (folder / language / f"{name}{suffix}" for name in names for suffix in _SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def voice_of(path: Path) -> Voice:
    """Return the voice of a recording: its content is its version. Raises PromptError."""
    try:
        if path.stat().st_size > _OCTETS_MAX:
            raise PromptError(f"{path} is larger than {_OCTETS_MAX} octets; cut it to {SOUND_S_MAX} s")
        return Voice(NAME, hashlib.sha256(path.read_bytes()).hexdigest(), path.name)
    except OSError as error:
        raise PromptError(f"{path} cannot be read ({error.strerror}); make it readable") from None


def read(path: Path) -> Sound:
    """Return a recording, mono. Raises PromptError that says what is wrong with it and what is allowed."""
    try:
        if path.suffix in _HEADERLESS:
            samples, rate = soundfile.read(
                path,
                samplerate=_HEADERLESS_HZ,
                channels=1,
                subtype=_HEADERLESS[path.suffix],
                format="RAW",
                dtype="float64",
                always_2d=True,
            )
        else:
            samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (soundfile.LibsndfileError, OSError):
        raise PromptError(f"{path} is not audio that is read here; save it as WAV, PCM16") from None
    if not SAMPLE_RATE_HZ_MIN <= rate <= SAMPLE_RATE_HZ_MAX:
        allowed = f"{SAMPLE_RATE_HZ_MIN} to {SAMPLE_RATE_HZ_MAX} Hz"
        raise PromptError(f"{path} is sampled at {rate} Hz; allowed: {allowed}")
    return Sound(np.asarray(samples.mean(axis=1), np.float64), int(rate))
