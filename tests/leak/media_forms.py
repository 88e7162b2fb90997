"""Forms in which a media process could keep keys that no text search finds: codes at a constant stride, and tones.

A ring of RTP packets with telephone events (RFC 4733 section 2.3), a table of presses or a row of samples holds one key
every so many bytes. A stretch of audio holds a key as two tones (ITU-T Q.23). Both are searched in raw memory.
"""

from __future__ import annotations

from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from tests.leak.memory_scanner import Finding, writable_mappings

STRIDE_BYTES_MAX = 2_048
"""More than the slot of a packet ring (1,500 bytes) and any row of the tables."""
WINDOW_DIGITS = 14
"""So many digits in a row are no chance; a ring that has lost the first or last two is found all the same."""
KEYPAD = "123A456B789C*0#D"
TONE_SHARE_MIN = 0.85
TONE_RMS_MIN = 150.0
"""About -43 dBm0: noise put in place of a key is quieter."""
_ROWS_HZ, _COLUMNS_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_BLOCK_MS = 25


def alphabets(canary: str) -> dict[str, NDArray[np.uint8]]:
    """Return the byte values that can stand for each key: event codes, ASCII, places on the keypad from 0 and 1."""
    places = [KEYPAD.index(digit) for digit in canary]
    return {
        "strided_event_codes": np.array([int(digit) for digit in canary], np.uint8),
        "strided_ascii": np.frombuffer(canary.encode(), np.uint8),
        "strided_keypad": np.array(places, np.uint8),
        "strided_keypad_from_1": np.array(places, np.uint8) + np.uint8(1),
    }


def strided_forms(data: NDArray[np.uint8], canary: str) -> dict[str, int]:
    """Return where in each form ``canary`` stands at a constant stride, forwards or backwards."""
    found = {}
    for form, codes in alphabets(canary).items():
        for start in (0, len(codes) - WINDOW_DIGITS):
            wanted = codes[start : start + WINDOW_DIGITS]
            # Large values are rare in tables of numbers: fewer places to look at.
            place = int(_find(data, wanted, int(np.argmax(wanted)), STRIDE_BYTES_MAX))
            if place >= 0:
                found[form] = place
    return found


@numba.njit(cache=False)
def _find(data: NDArray[np.uint8], wanted: NDArray[np.uint8], anchor: int, stride_max: int) -> int:
    """Return an index of ``wanted[anchor]`` around which the rest stands at one stride of up to ``stride_max`` bytes.

    -1 for none.
    """
    length, size = len(wanted), len(data)
    for index in range(size):
        if data[index] != wanted[anchor]:
            continue
        for size_of_step in range(1, stride_max + 1):
            for step in (size_of_step, -size_of_step):
                first, last = index - anchor * step, index + (length - 1 - anchor) * step
                if first < 0 or first >= size or last < 0 or last >= size:
                    continue
                matched = 0
                while matched < length and data[first + matched * step] == wanted[matched]:
                    matched += 1
                if matched == length:
                    return index
    return -1


def tones_in(data: NDArray[np.uint8]) -> int:
    """Return how many blocks of 25 ms are two keypad tones and little else, as int16 at 8 or 16 kHz, at any place."""
    samples = data[: len(data) // 2 * 2].view(np.int16)
    return sum(_tone_blocks(samples[start:], rate) for rate in (8_000, 16_000) for start in (0, rate // 80))


def _tone_blocks(samples: NDArray[np.int16], rate_hz: int) -> int:
    size = rate_hz * _BLOCK_MS // 1_000
    blocks = samples[: len(samples) // size * size].reshape(-1, size)
    blocks = blocks[blocks.any(axis=1)].astype(np.float64)
    energy = np.sum(blocks**2, axis=1)
    loud = energy > size * TONE_RMS_MIN**2
    blocks, energy = blocks[loud], energy[loud]
    times = np.arange(size) / rate_hz
    powers = [
        [2 / size * np.abs(blocks @ np.exp(-2j * np.pi * tone_hz * times)) ** 2 for tone_hz in group]
        for group in (_ROWS_HZ, _COLUMNS_HZ)
    ]
    row, column = (np.max(group, axis=0) if len(blocks) else np.zeros(0) for group in powers)
    tone = (row + column > TONE_SHARE_MIN * energy) & (np.minimum(row, column) > 0.1 * energy)
    return int(np.count_nonzero(tone))


def search(pid: int, canary: str) -> tuple[list[Finding], int]:
    """Search the locked maps of a media process: strided findings, and how many blocks of tones there are.

    Its tables, packets and samples are cut from one locked stretch of memory, the slots are another. Everything else is
    searched for whole forms by the scanner. Raises LookupError where nothing is locked: then this searched nothing.
    """
    findings, tones, searched = [], 0, 0
    for mapping, data in _locked_maps(pid):
        searched += len(data)
        for form, place in strided_forms(data, canary).items():
            findings.append(Finding(pid, form, place, mapping))
        tones += tones_in(data)
    if not searched:
        raise LookupError("no locked memory to search")
    return findings, tones


def flags_of_maps(pid: int) -> dict[int, tuple[str, set[str]]]:
    """Return name and VmFlags (proc(5)) of each map of a process by its first address."""
    flags: dict[int, tuple[str, set[str]]] = {}
    start, name = 0, ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split(maxsplit=5)
        if "-" in words[0] and not words[0].endswith(":"):
            start, name = int(words[0].split("-")[0], 16), words[5] if len(words) > 5 else ""
        elif words[0] == "VmFlags:":
            flags[start] = name.strip(), set(line.split()[1:])
    return flags


def _locked_maps(pid: int) -> list[tuple[str, NDArray[np.uint8]]]:
    flags, maps = flags_of_maps(pid), []
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for mapping in writable_mappings(pid):
            if "lo" in flags.get(mapping.start, ("", set()))[1]:
                memory.seek(mapping.start)
                data = memory.read(mapping.end - mapping.start)
                maps.append((mapping.name or "anonymous", np.frombuffer(data, np.uint8)))
    return maps
