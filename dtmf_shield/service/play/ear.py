"""An ear on running audio: the service's own detector, which counts keys and names none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.detector import SHIELD_STATE_DTYPE, detect_packet, reset_detector
from dtmf_shield.phone.stream import PACKET_SAMPLES

_KEYS_A_PACKET = 16


class LiveEar:
    """Hears one side of one call, packet by packet."""

    def __init__(self) -> None:
        self.keys_heard = 0
        self._state = np.zeros(1, SHIELD_STATE_DTYPE)
        reset_detector(self._state, 0)
        self._keys = np.zeros(_KEYS_A_PACKET, np.uint8)

    def hear(self, audio: NDArray[np.int16]) -> None:
        """Take the next packet, int16 at 8 kHz, shape (160,)."""
        self.keys_heard += int(detect_packet(self._state, 0, audio, self._keys))
        self._keys[:] = 0


def warm_up() -> None:
    """Load or compile what an ear needs, so that no call waits for it."""
    LiveEar().hear(np.zeros(PACKET_SAMPLES, np.int16))
