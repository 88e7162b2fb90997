"""Search another process's memory for a card number in every form that Python and libraries are known to leave.

The searched process does not cooperate: its readable and writable maps are read through /proc/PID/mem (root, or the
same user while the process is dumpable). Secret memory cannot be read by design; services under test use ordinary
locked memory. A scan proves something only beside its positive control: a process that does hold the number. Take a
number of many different digits, and keep it out of the environment and the arguments of the searched process.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numba
import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 1 << 20
OVERLAP_BYTES = 4_096
"""More than the longest form (a run of 19 eight-byte numbers or a comma list), so that none hides on a seam."""
MIDDLE_DIGITS, LAST_DIGITS, FIRST_DIGITS = 8, 10, 12
PATTERNS_MAX = 64
PLACES_MAX = 1_000
"""In one chunk; more would say the same."""
_INT_DIGIT_BITS = 30


@dataclass(frozen=True)
class Finding:
    """One place. ``form`` names how the number is written there; the number itself is not shown."""

    pid: int
    form: str
    address: int
    mapping: str


@dataclass(frozen=True)
class _Mapping:
    start: int
    end: int
    name: str


def byte_forms(canary: str) -> dict[str, bytes]:
    """Return the ways bytes can write ``canary``."""
    digits = [int(digit) for digit in canary]
    number = int(canary)
    middle = (len(canary) - MIDDLE_DIGITS) // 2
    forms = {
        "ascii": canary.encode(),
        "raw": bytes(digits),
        "utf16": canary.encode("utf-16-le"),
        "utf32": canary.encode("utf-32-le"),
        "bcd": bytes.fromhex(canary if len(canary) % 2 == 0 else canary + "f"),
        "spaced": _grouped(canary, " "),
        "dashed": _grouped(canary, "-"),
        "int64": struct.pack("<q", number),
        "python_int": _python_int(number),
        "int64_array": struct.pack(f"<{len(digits)}q", *digits),
        "int32_array": struct.pack(f"<{len(digits)}i", *digits),
        "comma_list": ",".join(canary).encode(),
        "comma_blank_list": ", ".join(canary).encode(),
        "hex": canary.encode().hex().encode(),
        "reversed": canary[::-1].encode(),
        "first": canary[:FIRST_DIGITS].encode(),
        "middle": canary[middle : middle + MIDDLE_DIGITS].encode(),
        "last": canary[-LAST_DIGITS:].encode(),
    }
    for alignment in range(3):
        forms[f"base64_{alignment}"] = _base64_core(canary.encode(), alignment)
    return forms


def pointer_forms(canary: str, pid: int) -> dict[str, bytes]:
    """Return runs of addresses of the interpreter's own small objects in ``pid``: a list of digits is a copy.

    Digits as ints, as one-character strings and as ASCII codes. These objects lie in the interpreter's image, at the
    same distance from its beginning in every process of the same program. Empty for another program.
    """
    shift = _image_shift(pid)
    if shift is None:
        return {}
    addresses = {
        "list_of_ints": [id(int(digit)) for digit in canary],
        "list_of_strings": [id(chr(ord(digit))) for digit in canary],
        "list_of_codes": [id(ord(digit)) for digit in canary],
    }
    return {
        form: struct.pack(f"<{len(run)}Q", *(address + shift for address in run))
        for form, run in addresses.items()
    }


def scan(pid: int, canary: str, *, include: frozenset[str] | None = None) -> list[Finding]:
    """Return every place in ``pid`` where ``canary`` stands in one of 21 byte forms and 3 pointer forms.

    ``include``: names of forms to search, None for all. Raises PermissionError, ProcessLookupError.
    """
    forms = byte_forms(canary) | pointer_forms(canary, pid)
    return scan_for(pid, {form: it for form, it in forms.items() if include is None or form in include})


def scan_for(pid: int, wanted: Mapping[str, bytes]) -> list[Finding]:
    """Return every place in ``pid`` where one of the patterns stands, by its name."""
    forms, patterns = list(wanted), _Patterns(list(wanted.values()))
    findings: set[Finding] = set()
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for mapping in writable_mappings(pid):
            for start, chunk in _chunks(memory, mapping):
                for index, at in patterns.places_in(chunk):
                    findings.add(Finding(pid, forms[index], start + at, mapping.name))
    return sorted(findings, key=lambda finding: (finding.address, finding.form))


class _Patterns:
    """All patterns looked for in one pass: gigabytes are searched here, and again after each end."""

    def __init__(self, patterns: list[bytes]) -> None:
        if len(patterns) > PATTERNS_MAX:
            raise ValueError(f"more than {PATTERNS_MAX} patterns")
        self._lengths = np.array([len(pattern) for pattern in patterns], np.int64)
        self._bytes = np.zeros((len(patterns), int(self._lengths.max(initial=1))), np.uint8)
        self._by_first = np.zeros(256, np.uint64)
        for index, pattern in enumerate(patterns):
            self._bytes[index, : len(pattern)] = np.frombuffer(pattern, np.uint8)
            self._by_first[pattern[0]] |= np.uint64(1) << np.uint64(index)
        self._found = np.zeros((PLACES_MAX, 2), np.int64)

    def places_in(self, data: bytes) -> list[tuple[int, int]]:
        """Return the pattern's number and the offset of each place, the first PLACES_MAX of them."""
        count = _places(
            np.frombuffer(data, np.uint8), self._bytes, self._lengths, self._by_first, self._found
        )
        return [(int(index), int(at)) for index, at in self._found[:count]]


@numba.njit(cache=False)
def _places(
    data: NDArray[np.uint8],
    patterns: NDArray[np.uint8],
    lengths: NDArray[np.int64],
    by_first: NDArray[np.uint64],
    found: NDArray[np.int64],
) -> int:
    count = 0
    for at in range(len(data)):
        candidates = by_first[data[at]]
        if candidates == 0:
            continue
        for index in range(len(lengths)):
            if not (candidates >> np.uint64(index)) & np.uint64(1) or at + lengths[index] > len(data):
                continue
            matched = 1
            while matched < lengths[index] and data[at + matched] == patterns[index, matched]:
                matched += 1
            if matched == lengths[index] and count < len(found):
                found[count, 0], found[count, 1] = index, at
                count += 1
    return count


def writable_mappings(pid: int) -> list[_Mapping]:
    """Return the readable and writable maps of ``pid``."""
    mappings = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        bounds, permissions, *_, name = [*line.split(maxsplit=5), ""][:6]
        if permissions.startswith("rw"):
            start, end = (int(bound, 16) for bound in bounds.split("-"))
            mappings.append(_Mapping(start, end, name.strip()))
    return mappings


def _chunks(memory: BinaryIO, mapping: _Mapping) -> Iterator[tuple[int, bytes]]:
    position = mapping.start
    while position < mapping.end:
        length = min(CHUNK_BYTES + OVERLAP_BYTES, mapping.end - position)
        try:
            memory.seek(position)
            chunk = memory.read(length)
        except (OSError, OverflowError):
            return  # Secret memory, device memory: unreadable even for root.
        yield position, chunk
        position += CHUNK_BYTES


def _image_shift(pid: int) -> int | None:
    """Return how far the interpreter's image in ``pid`` lies from ours; None where it is another program."""
    ours = theirs = None
    image = _image_holding(id(0))
    for process in ("self", str(pid)):
        start = next((start for start, _, name in _all_mappings(process) if name == image), None)
        ours, theirs = (start, theirs) if process == "self" else (ours, start)
    return theirs - ours if ours is not None and theirs is not None else None


def _image_holding(address: int) -> str:
    """Return the file whose image holds ``address`` in this process."""
    last_file = ""
    for start, end, name in _all_mappings("self"):
        # Data that starts as zero lies in a nameless map right behind its file's.
        last_file = name if name.startswith("/") else last_file
        if start <= address < end:
            return last_file
    raise LookupError("the interpreter's image is not mapped from a file")


def _all_mappings(pid: str) -> list[tuple[int, int, str]]:
    mappings = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        bounds, *_, name = [*line.split(maxsplit=5), ""][:6]
        start, end = (int(bound, 16) for bound in bounds.split("-"))
        mappings.append((start, end, name.strip()))
    return mappings


def _grouped(canary: str, separator: str) -> bytes:
    return separator.join(canary[start : start + 4] for start in range(0, len(canary), 4)).encode()


def _python_int(number: int) -> bytes:
    """Return the value part of CPython's int object: 30 bits in each 4-byte word."""
    words = []
    while number:
        words.append(number & ((1 << _INT_DIGIT_BITS) - 1))
        number >>= _INT_DIGIT_BITS
    return struct.pack(f"<{len(words)}I", *words)


def _base64_core(data: bytes, alignment: int) -> bytes:
    """Return the characters of base64 that depend on ``data`` alone, where it starts ``alignment`` bytes late."""
    encoded = base64.b64encode(b"\0" * alignment + data)
    first = (alignment * 8 + 5) // 6
    last = (alignment + len(data)) * 8 // 6
    return encoded[first:last]
