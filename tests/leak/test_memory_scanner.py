"""The scanner's own positive control: a process that holds a number in a known form must be found out, others not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.leak.memory_scanner import byte_forms, pointer_forms, scan

CANARY = "6011000990139424"
"""A published test number with few repeated digits."""

_HOLD = """
import sys, array, struct
line = sys.stdin.buffer.raw.readline
number = bytearray(16)
sys.stdin.buffer.raw.readinto(number)
exec(sys.argv[1])
for index in range(16):
    number[index] = 0
print("holding", flush=True)
sys.stdin.buffer.raw.read(1)
"""


@contextmanager
def holder(statement: str) -> Iterator[int]:
    """Run a process that gets the number by a pipe, does ``statement`` with it, and wipes what it read."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, statement], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(CANARY.encode())
    process.stdin.flush()
    assert process.stdout.readline() == b"holding\n"
    try:
        yield process.pid
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def test_all_twenty_one_byte_forms_and_three_pointer_forms_are_searched() -> None:
    with holder("pass") as pid:
        assert len(byte_forms(CANARY)) == 21
        assert len(pointer_forms(CANARY, pid)) == 3


def test_wiped_number_is_not_found() -> None:
    with holder("pass") as pid:
        assert scan(pid, CANARY) == []


@pytest.mark.parametrize(
    ("statement", "form"),
    [
        ("held = number.decode()", "ascii"),
        ("held = bytearray(number)", "ascii"),
        ("held = bytes(code - 48 for code in number)", "raw"),
        ("held = number.decode() + chr(0x20ac)", "utf16"),
        ("held = number.decode() + chr(0x1f600)", "utf32"),
        ("held = int(number)", "python_int"),
        ("held = struct.pack('<q', int(number))", "int64"),
        ("held = array.array('q', [code - 48 for code in number])", "int64_array"),
        ("held = array.array('i', [code - 48 for code in number])", "int32_array"),
        ("held = number.hex()", "hex"),
        ("held = bytes.fromhex(number.decode())", "bcd"),
        ("held = repr([code - 48 for code in number])", "comma_blank_list"),
        ("held = [code - 48 for code in number]", "list_of_ints"),
        ("held = list(number.decode())", "list_of_strings"),
        ("held = list(number)", "list_of_codes"),
        ("import base64; held = base64.b64encode(b'x' + number)", "base64_1"),
        ("held = number[::-1]", "reversed"),
        ("held = number[:12]", "first"),
        ("held = number[4:12]", "middle"),
        ("held = number[-10:]", "last"),
    ],
)
def test_number_held_in_a_form_is_found(statement: str, form: str) -> None:
    with holder(statement) as pid:
        assert form in {finding.form for finding in scan(pid, CANARY)}


def test_finding_does_not_show_the_number() -> None:
    with holder("held = number.decode()") as pid:
        assert CANARY not in repr(scan(pid, CANARY))
