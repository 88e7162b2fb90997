"""A small PNG writer (ISO/IEC 15948): levels of a spectrum as an indexed picture, 64 colours from black to light."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

COLOURS: Final = 64
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_INDEXED: Final = 3
_ANCHORS: Final = (
    *((0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122)),
    *((229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191)),
)
"""Eighths of matplotlib's magma: lightness rises evenly, so that it reads in grey and without red or green as well."""


def png_of(levels: NDArray[np.uint8]) -> bytes:
    """Return ``levels`` (0 to COLOURS - 1, shape (rows, columns), the top row first) as a PNG file."""
    rows, columns = levels.shape
    unfiltered = np.zeros(
        (rows, columns + 1), np.uint8
    )  # each row begins with its filter: none (section 9.2)
    unfiltered[:, 1:] = levels
    header = struct.pack(">IIBBBBB", columns, rows, 8, _INDEXED, 0, 0, 0)
    parts = (
        (b"IHDR", header),
        (b"PLTE", _palette()),
        (b"IDAT", zlib.compress(unfiltered.tobytes(), 6)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(_chunk(name, body) for name, body in parts)


def _palette() -> bytes:
    places = np.linspace(0, len(_ANCHORS) - 1, COLOURS)
    shades = [np.interp(places, np.arange(len(_ANCHORS)), channel) for channel in zip(*_ANCHORS, strict=True)]
    return np.round(np.stack(shades, axis=1)).astype(np.uint8).tobytes()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
