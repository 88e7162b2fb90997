"""Prompts for the tests in no time: every piece a flow can say is a short stretch of speech-like sound, not speech."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from dtmf_shield.flow.loader import load_flow
from dtmf_shield.model.prompt import Text
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.prompts.grammar import inventory
from dtmf_shield.prompts.grammar.parts import PAUSES_MS
from dtmf_shield.prompts.names import literal_name
from dtmf_shield.prompts.sound.shaping import Shaped
from dtmf_shield.prompts.store_writer import StoredPiece, packets_of, write_language
from dtmf_shield.service.prompt_check import CARE_PIECES

LANGUAGE: Final = "en-GB"
SAMPLES: Final = 2_400
"""300 ms at 8 kHz."""


def write_prompts(directory: Path, flow_file: Path) -> None:
    """Write a store with every piece that the flow can say."""
    flow = load_flow(flow_file.read_text("utf-8"), file=str(flow_file))
    spoken = [piece for prompt in flow.prompts.values() for piece in prompt.root[LANGUAGE].pieces()]
    said = [literal_name(piece.text) for piece in spoken if isinstance(piece, Text)]
    start = SAMPLES  # a loud stretch of the agent's voice
    narrow = voice(Voice.AGENT)[start : start + SAMPLES].astype(np.int16)
    packets = packets_of(Shaped(narrow, np.repeat(narrow, 2), -16.0))
    names = dict.fromkeys([*CARE_PIECES, *inventory(LANGUAGE), *PAUSES_MS, *said])
    pieces = [
        StoredPiece(
            name=name,
            text="",
            engine="none",
            voice="",
            version="1",
            draft=False,
            sha256=name,
            loudness_lufs=None,
            wav=name,
            packets=packets,
        )
        for name in names
    ]
    write_language(directory, LANGUAGE, pieces)
