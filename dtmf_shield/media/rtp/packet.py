"""RTP fixed header, read and written on byte arrays: RFC 3550 section 5.1, with the RTCP test of RFC 5761 section 4.

No RTCP, no SRTP, no jitter buffer, and no judgement on sequence or source: that is the session's.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.media.rtp.kernel import kernel

RTP_VERSION: Final = 2
HEADER_BYTES: Final = 12
PACKET_BYTES_MAX: Final = 1500
"""A packet is at most one Ethernet frame; 60 ms of G.711 are 492 bytes."""
COMFORT_NOISE_PAYLOAD_TYPE: Final = 13
"""RFC 3389."""
_RTCP_FIRST: Final = 192
_RTCP_LAST: Final = 223
"""RFC 5761 section 4: a second byte in this range is RTCP, which nobody reads on these ports."""


class RtpHeader(NamedTuple):
    """What a received packet says of itself. `valid` False: every other field is 0."""

    valid: bool
    marker: int
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload_at: int
    payload_bytes: int


@kernel
def _word(packet: NDArray[np.uint8], at: int) -> int:
    """Return the big-endian 32-bit number at `at`."""
    high = (np.int64(packet[at]) << 24) | (np.int64(packet[at + 1]) << 16)
    return high | (np.int64(packet[at + 2]) << 8) | np.int64(packet[at + 3])  # type: ignore[return-value]


@kernel
def parse_packet(packet: NDArray[np.uint8], size: int) -> RtpHeader:
    """Read the header of the first `size` bytes of `packet` (uint8, shape (>= size,)).

    Not valid: shorter than its own fields say, another version, RTCP, or padding longer than the payload.
    """
    bad = RtpHeader(False, 0, 0, 0, 0, 0, 0, 0)
    if size < HEADER_BYTES or size > packet.shape[0] or packet[0] >> 6 != RTP_VERSION:
        return bad
    if packet[1] >= _RTCP_FIRST and packet[1] <= _RTCP_LAST:
        return bad
    payload_at = HEADER_BYTES + 4 * np.int64(packet[0] & 0x0F)
    if packet[0] & 0x10:  # header extension, RFC 3550 section 5.3.1
        if size < payload_at + 4:
            return bad
        words = (np.int64(packet[payload_at + 2]) << 8) | np.int64(packet[payload_at + 3])
        payload_at += 4 + 4 * words
    payload_bytes = size - payload_at
    if payload_bytes < 0:
        return bad
    if packet[0] & 0x20:  # padding: the last byte counts it, itself included
        padding = np.int64(packet[size - 1])
        if padding == 0 or padding > payload_bytes:
            return bad
        payload_bytes -= padding
    sequence = (np.int64(packet[2]) << 8) | np.int64(packet[3])
    return RtpHeader(
        True,
        np.int64(packet[1] >> 7),  # type: ignore[arg-type]
        np.int64(packet[1] & 0x7F),  # type: ignore[arg-type]
        sequence,  # type: ignore[arg-type]
        _word(packet, 4),
        _word(packet, 8),
        payload_at,  # type: ignore[arg-type]
        payload_bytes,  # type: ignore[arg-type]
    )


@kernel
def write_header(
    packet: NDArray[np.uint8], marker: int, payload_type: int, sequence: int, timestamp: int, ssrc: int
) -> None:
    """Write a 12-byte header (no CSRC, extension or padding) into `packet`, uint8, shape (>= 12,)."""
    packet[0] = RTP_VERSION << 6
    packet[1] = ((marker & 1) << 7) | (payload_type & 0x7F)
    packet[2] = (sequence >> 8) & 0xFF
    packet[3] = sequence & 0xFF
    for index in range(4):
        shift = 24 - 8 * index
        packet[4 + index] = (timestamp >> shift) & 0xFF
        packet[8 + index] = (ssrc >> shift) & 0xFF
