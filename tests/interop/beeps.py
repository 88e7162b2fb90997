"""A store of prompts without a speech engine: every piece is one beep, at a frequency that no key tone has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.flow.language import Flow
from dtmf_shield.prompts.grammar.parts import PAUSES_MS, PieceName
from dtmf_shield.prompts.sound.shaping import Shaped
from dtmf_shield.prompts.store_writer import Packets, StoredPiece, packets_of, write_language
from dtmf_shield.prompts.wanted import flow_pieces, standard_pieces, unique

BEEP_HZ = 1_000
BEEP_MS = 200
AMPLITUDE = 8_000
FRAME = 160
"""Samples of 20 ms at 8 kHz."""


def write_beeps(directory: Path, flow: Flow, language: str = "en-GB") -> int:
    """Write whatever a flow may say in a language; returns how many pieces."""
    said = {
        name: {tag: spoken.pieces() for tag, spoken in prompt.root.items()}
        for name, prompt in flow.prompts.items()
    }
    wanted = unique([*standard_pieces(language), *flow_pieces(flow.id, said, language)])
    beep = packets_of(Shaped(_tone(8_000), _tone(16_000), -20.0))
    pieces = [_piece(each.name, each.text, beep) for each in wanted]
    for name, duration_ms in PAUSES_MS.items():
        quiet = Shaped(np.zeros(8 * duration_ms, np.int16), np.zeros(16 * duration_ms, np.int16), -70.0)
        pieces.append(_piece(name, "", packets_of(quiet)))
    directory.mkdir(parents=True, exist_ok=True)
    write_language(directory, language, pieces)
    return len(pieces)


def beep_frames(heard: NDArray[np.int16], from_sample: int = 0) -> int:
    """Return in how many frames of 20 ms the beep is, in audio of 8 kHz."""
    audio = heard[from_sample : from_sample + (len(heard) - from_sample) // FRAME * FRAME]
    frames = audio.reshape(-1, FRAME).astype(np.float64)
    turn = np.exp(-2j * np.pi * BEEP_HZ * np.arange(FRAME) / 8_000)
    # A full tone of that amplitude gives AMPLITUDE / 2.
    return int(np.sum(np.abs(frames @ turn) / FRAME > AMPLITUDE / 8))


def _piece(name: PieceName, text: str, packets: Packets) -> StoredPiece:
    return StoredPiece(name, text, "beep", "beep", "1", False, "0" * 64, -20.0, "", packets)


def _tone(rate_hz: int) -> NDArray[np.int16]:
    samples = np.arange(rate_hz * BEEP_MS // 1_000)
    return (AMPLITUDE * np.sin(2 * np.pi * BEEP_HZ * samples / rate_hz)).astype(np.int16)
