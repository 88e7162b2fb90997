"""The two voices that ship with the test phone: synthetic speech, headerless µ-law at 8 kHz (ITU-T G.711)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.g711 import ULAW_DECODE

_DIRECTORY: Final = Path(__file__).parent / "speech"


class Voice(StrEnum):
    """Who speaks."""

    CALLER = "caller"
    AGENT = "agent"


def voice(which: Voice) -> NDArray[np.int16]:
    """Return about half a minute of speech, int16 PCM at 8 kHz, shape (n,), near -20 dBm0."""
    codes = np.frombuffer((_DIRECTORY / f"{which}.ul").read_bytes(), dtype=np.uint8)
    return ULAW_DECODE[codes]
