"""The three clocks of an RTP stream and the only places where one becomes another (RFC 3550 section 5.1).

Timestamps count samples of an 8 kHz clock modulo 2^32, sequence numbers count packets modulo 2^16, arrival times are
nanoseconds of the machine's monotonic clock. Nothing here reads a clock.
"""

from typing import Final

from dtmf_shield.media.rtp.kernel import kernel

SAMPLE_RATE_HZ: Final = 8000
"""RTP clock rate of PCMU and PCMA (RFC 3551 table 4) and of the telephone-event that goes with them."""
SAMPLES_A_MS: Final = SAMPLE_RATE_HZ // 1000
NS_A_SAMPLE: Final = 1_000_000_000 // SAMPLE_RATE_HZ
NS_A_MS: Final = 1_000_000
SEQUENCE_MODULUS: Final = 1 << 16
TIMESTAMP_MODULUS: Final = 1 << 32


@kernel
def samples_of_ns(duration_ns: int) -> int:
    """Return the whole samples in `duration_ns` nanoseconds."""
    return duration_ns // NS_A_SAMPLE


@kernel
def sequence_distance(later: int, earlier: int) -> int:
    """Return how far `later` is ahead of `earlier`, -32768..32767 packets (RFC 1982 arithmetic)."""
    return ((later - earlier + SEQUENCE_MODULUS // 2) % SEQUENCE_MODULUS) - SEQUENCE_MODULUS // 2


@kernel
def timestamp_distance(later: int, earlier: int) -> int:
    """Return how far `later` is ahead of `earlier`, -2^31..2^31-1 ticks."""
    return ((later - earlier + TIMESTAMP_MODULUS // 2) % TIMESTAMP_MODULUS) - TIMESTAMP_MODULUS // 2
