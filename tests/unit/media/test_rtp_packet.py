"""RTP headers: RFC 3550 section 5.1, each good packet with its truncated and corrupt twins."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtmf_shield.media.rtp.clock import sequence_distance, timestamp_distance
from dtmf_shield.media.rtp.packet import parse_packet, write_header


def parse(data: bytes):
    packet = np.frombuffer(data.ljust(64, b"\0"), dtype=np.uint8)
    return parse_packet(packet, len(data))


def header(first: int = 0x80, second: int = 0) -> bytes:
    return struct.pack("!BBHII", first, second, 0xFFFE, 0xFFFFFF00, 0xDEADBEEF)


def test_a_plain_packet_is_read():
    read = parse(header(second=0x80 | 8) + b"\xd5" * 20)

    assert read == (True, 1, 8, 0xFFFE, 0xFFFFFF00, 0xDEADBEEF, 12, 20)


def test_contributing_sources_and_extension_are_skipped():
    data = header(first=0x80 | 0x10 | 2) + b"\0" * 8 + struct.pack("!HH", 0xBEDE, 1) + b"\1\2\3\4" + b"audio"

    read = parse(data)

    assert (read.valid, read.payload_at, read.payload_bytes) == (True, 28, 5)


def test_padding_is_not_payload():
    assert parse(header(first=0xA0) + b"audio" + b"\0\0\3").payload_bytes == 5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        header()[:11],
        header(first=0x40),
        header(second=200),
        header(first=0x82) + b"\0" * 7,
        header(first=0x90) + b"\0\0\0",
        header(first=0x90) + struct.pack("!HH", 0, 9),
        header(first=0xA0) + b"au\x04",
        header(first=0xA0) + b"au\x00",
    ],
    ids=[
        "empty",
        "short",
        "version",
        "rtcp",
        "csrc",
        "extension",
        "extension_length",
        "padding",
        "no_padding",
    ],
)
def test_a_broken_packet_is_not_valid(data):
    assert not parse(data).valid


@settings(deadline=None)  # the first example may have to compile
@given(
    st.integers(0, 1),
    st.integers(0, 63),
    st.integers(0, 65535),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
def test_what_is_written_is_read(marker, payload_type, sequence, timestamp, ssrc):
    packet = np.zeros(20, dtype=np.uint8)

    write_header(packet, marker, payload_type, sequence, timestamp, ssrc)

    assert parse_packet(packet, 20) == (True, marker, payload_type, sequence, timestamp, ssrc, 12, 8)


def test_distances_wrap():
    assert sequence_distance(2, 65535) == 3
    assert sequence_distance(65535, 2) == -3
    assert timestamp_distance(100, 2**32 - 60) == 160
