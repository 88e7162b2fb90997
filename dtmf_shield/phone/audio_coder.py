"""The test phone's codecs: its own 8 kHz audio to and from the payload of one RTP payload type (RFC 3551).

Over G.722 it stays a phone with a telephone's bandwidth: what it says is brought to 16 kHz, what it hears to 8 kHz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.codecs.g711 import (
    ALAW_DECODE,
    ALAW_ENCODE,
    PCMA_PAYLOAD_TYPE,
    ULAW_DECODE,
    ULAW_ENCODE,
)
from dtmf_shield.media.codecs.g722 import (
    G722_PAYLOAD_TYPE,
    G722_STATE_DTYPE,
    decode_g722,
    encode_g722,
    reset_g722,
)
from dtmf_shield.media.codecs.resampling import DOUBLING_STATE_DTYPE, HALVING_STATE_DTYPE, double, halve


class AudioCoder:
    """Both directions of one call. One payload octet is one sample at 8 kHz, with every codec."""

    def __init__(self) -> None:
        self._encoder, self._decoder = np.zeros(1, G722_STATE_DTYPE), np.zeros(1, G722_STATE_DTYPE)
        self._doubling = np.zeros(1, DOUBLING_STATE_DTYPE)
        self._halving = np.zeros(1, HALVING_STATE_DTYPE)

    def encode(self, payload_type: int, audio: NDArray[np.int16]) -> NDArray[np.uint8]:
        """Return the payload of `audio`, int16 at 8 kHz, shape (n,)."""
        if payload_type != G722_PAYLOAD_TYPE:
            table = ALAW_ENCODE if payload_type == PCMA_PAYLOAD_TYPE else ULAW_ENCODE
            return table[audio.astype(np.int64) + 32768]
        wide, codes = np.zeros(2 * len(audio), np.int16), np.zeros(len(audio), np.uint8)
        double(self._doubling, 0, audio, wide)
        encode_g722(self._encoder, 0, wide, codes)
        return codes

    def decode(self, payload_type: int, payload: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Return the audio of a payload, int16 at 8 kHz, shape (n,)."""
        if payload_type != G722_PAYLOAD_TYPE:
            table = ALAW_DECODE if payload_type == PCMA_PAYLOAD_TYPE else ULAW_DECODE
            return table[payload]
        wide, audio = np.zeros(2 * len(payload), np.int16), np.zeros(len(payload), np.int16)
        decode_g722(self._decoder, 0, payload, wide)
        halve(self._halving, 0, wide, audio)
        return audio

    def new_source(self) -> None:
        """The other side's packets come from another encoder from now on."""
        reset_g722(self._decoder, 0)
