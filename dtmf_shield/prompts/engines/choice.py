"""Which engine speaks a language: the one that was asked for, or the best one that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from dtmf_shield.prompts.engines import espeak_ng, flite, piper
from dtmf_shield.prompts.engines.engine import Engine, Voice
from dtmf_shield.prompts.errors import MissingEngineError

EngineName = Literal["auto", "recorded", "piper", "flite", "espeak-ng"]
_INSTALL: Final = {
    "piper": "pip install piper-tts, outside this service's environment, and name a folder of voices (--voices)",
    "flite": "apt-get install flite",
    "espeak-ng": "apt-get install espeak-ng",
}


def choose(name: EngineName, language: str, voices: Path | None = None) -> tuple[Engine, Voice] | None:
    """Return engine and voice for a language; none for ``recorded``, which needs none. Raises MissingEngineError."""
    if name == "recorded":
        return None
    engines: dict[str, Engine | None] = {
        "piper": piper.installed(voices),
        "flite": flite.installed(),
        "espeak-ng": espeak_ng.installed(),
    }
    wanted = engines if name == "auto" else {name: engines[name]}
    for engine in wanted.values():
        voice = engine.voice(language) if engine else None
        if engine is not None and voice is not None:
            return engine, voice
    if name != "auto" and engines[name] is not None:
        raise MissingEngineError(
            f"language {language}: {name} has no voice for it; use --engine auto, or record the pieces"
        )
    missing = "; or ".join(_INSTALL[each] for each, engine in wanted.items() if engine is None)
    raise MissingEngineError(
        f"language {language}: no installed engine speaks it; {missing or 'record the pieces yourself'}"
    )
