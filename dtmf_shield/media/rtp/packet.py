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
def octet(octets: NDArray[np.uint8], at: int) -> int:
    """Return the byte at `at`, signed: numba makes a float of a signed and an unsigned 64-bit number."""
    return int(np.int64(octets[at]))


@kernel
def half_word(octets: NDArray[np.uint8], at: int) -> int:
    """Return the big-endian 16-bit number at `at`."""
    return (octet(octets, at) << 8) | octet(octets, at + 1)


@kernel
def _word(octets: NDArray[np.uint8], at: int) -> int:
    """Return the big-endian 32-bit number at `at`."""
    return (half_word(octets, at) << 16) | half_word(octets, at + 2)


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
    payload_at = HEADER_BYTES + 4 * (octet(packet, 0) & 0x0F)
    if packet[0] & 0x10:  # header extension, RFC 3550 section 5.3.1
        if size < payload_at + 4:
            return bad
        payload_at += 4 + 4 * half_word(packet, payload_at + 2)
    payload_bytes = size - payload_at
    if payload_bytes < 0:
        return bad
    if packet[0] & 0x20:  # padding: the last byte counts it, itself included
        padding = octet(packet, size - 1)
        if padding == 0 or padding > payload_bytes:
            return bad
        payload_bytes -= padding
    second = octet(packet, 1)
    return RtpHeader(
        True,
        second >> 7,
        second & 0x7F,
        half_word(packet, 2),
        _word(packet, 4),
        _word(packet, 8),
        payload_at,
        payload_bytes,
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
