"""What an engine is: a program that is started for one text, given the text on standard input, and waited for."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import soundfile

from dtmf_shield.prompts.errors import EngineError
from dtmf_shield.prompts.script import Segment
from dtmf_shield.prompts.sound.shaping import Sound

SPEAK_TIMEOUT_S: Final = 120.0
"""A whole prompt with a neural voice on a busy small machine takes a few seconds."""
VERSION_TIMEOUT_S: Final = 30.0
_ERROR_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks. All of it is part of the cache key but ``draft``: a voice that is a placeholder for a better one."""

    engine: str
    version: str
    name: str
    draft: bool = False


class Engine(Protocol):
    """A speech engine that is installed."""

    name: str

    def voice(self, language: str) -> Voice | None:
        """Return the voice for a language tag, none if it speaks no such language. Raises EngineError."""
        ...

    def speak(self, segment: Segment, voice: Voice) -> Sound:
        """Return one segment as speech, without its pause. Raises EngineError."""
        ...


def found(program: str) -> bool:
    """Say whether a program is installed."""
    return shutil.which(program) is not None


def version_of(program: str) -> str:
    """Return what a program says of its version. Some end with status 1 after it. Raises EngineError."""
    said = run([program, "--version"], timeout_s=VERSION_TIMEOUT_S, statuses=(0, 1))
    return said.decode("utf-8", errors="replace")


def run(
    command: list[str],
    text: str = "",
    timeout_s: float = SPEAK_TIMEOUT_S,
    statuses: tuple[int, ...] = (0,),
) -> bytes:
    """Run a program with ``text`` on its standard input and return what it writes. Raises EngineError."""
    program = command[0]
    try:
        done = subprocess.run(
            command, input=text.encode("utf-8"), capture_output=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError:
        raise EngineError(f"the program {program} is not installed") from None
    except subprocess.TimeoutExpired:
        raise EngineError(f"{program} did not answer within {timeout_s:g} s; try it by hand") from None
    if done.returncode not in statuses:
        said = done.stderr.decode("utf-8", errors="replace").strip()[-_ERROR_CHARACTERS:]
        raise EngineError(f"{program} failed with status {done.returncode}: {said or 'it does not say why'}")
    return done.stdout


def read_wav(octets: bytes, program: str) -> Sound:
    """Return the sound of a WAV file, mono. Raises EngineError."""
    try:
        samples, sample_rate_hz = soundfile.read(io.BytesIO(octets), dtype="float64", always_2d=True)
    except soundfile.LibsndfileError:
        raise EngineError(f"{program} wrote no WAV file; try it by hand") from None
    return Sound(np.asarray(samples.mean(axis=1), np.float64), int(sample_rate_hz))
