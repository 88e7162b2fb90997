"""KEKs in SoftHSM2: keys that do not come out, data keys by a process of its own, refusals an operator can read."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pkcs11
import pytest

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys import rotation
from dtmf_shield.cde.keys.kek import DekUnwrapError
from dtmf_shield.cde.keys.opening import open_token_cipher
from dtmf_shield.cde.keys.pkcs11_ring import Pkcs11Ring
from dtmf_shield.model.keys import KekSettings
from dtmf_shield.service.keys import kek_made
from dtmf_shield.store.dek_rows import DekRows
from tests.unit.cde.keys.sealed_ledger import NOON_S, StoppedClock, ledger_in, opened_tokens, seal_tokens

Settings = Callable[[str], KekSettings]


@contextmanager
def ring_of(settings: KekSettings) -> Iterator[Pkcs11Ring]:
    with closing(Pkcs11Ring(settings, writable=True)) as ring:
        yield ring


def test_tokens_are_sealed_opened_and_rotated_by_the_hsm(tmp_path: Path, softhsm: Settings) -> None:
    settings = softhsm("whole-life")
    with ring_of(settings) as ring, closing(DekRows(ledger_in(tmp_path))) as rows:
        old = rotation.generate(rows, ring, NOON_S)
    tokens = seal_tokens(tmp_path, 3, settings)

    with ring_of(settings) as ring, closing(DekRows(ledger_in(tmp_path))) as rows:
        new = rotation.generate(rows, ring, NOON_S + 1)
        for _ in rotation.rewrap(rows, ring):
            pass
        rotation.retire(rows, ring, old)
        assert ring.ids() == (new,)
        assert rotation.verify(rows, ring, StoppedClock()).tokens_opened == 3

    assert opened_tokens(tmp_path, settings) == tokens


def test_the_key_cannot_be_taken_out(softhsm: Settings) -> None:
    with ring_of(softhsm("stays")) as ring:
        key = ring._key(ring.generate(NOON_S))

        assert (key[pkcs11.Attribute.SENSITIVE], key[pkcs11.Attribute.EXTRACTABLE]) == (True, False)
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


def test_names_of_keys_in_an_hsm_are_told_apart_and_hold_no_long_run_of_digits(softhsm: Settings) -> None:
    with ring_of(softhsm("names")) as ring:
        made = [ring.generate(NOON_S + second) for second in range(3)]

        assert ring.ids() == tuple(made)
        assert all(re.fullmatch(r"pkcs11-[0-9a-f]{10}x[0-9a-f]{6}", name) for name in made)
        assert kek_made(made[0]) == datetime.date(2027, 1, 15)


def test_a_wrapped_key_opens_in_its_row_alone(softhsm: Settings) -> None:
    with ring_of(softhsm("bound")) as ring:
        kek = ring.get(ring.generate(NOON_S))
        wrapped = kek.wrap(bytes(range(32)), "2027-01-15-a")

        assert kek.unwrap(wrapped, "2027-01-15-a") == bytes(range(32))
        for changed, dek_id in (
            (wrapped, "2027-01-15-b"),
            (wrapped[:-1], "2027-01-15-a"),
            (b"", "2027-01-15-a"),
        ):
            with pytest.raises(DekUnwrapError):
                kek.unwrap(changed, dek_id)
        # The session is as good as before a refusal.
        assert kek.unwrap(wrapped, "2027-01-15-a") == bytes(range(32))


def test_the_process_with_the_cipher_never_loads_the_library(tmp_path: Path, softhsm: Settings) -> None:
    settings = softhsm("apart")
    with ring_of(settings) as ring:
        ring.generate(NOON_S)
    program = """
import sys
from pathlib import Path
import msgspec
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.cde.keys.opening import open_token_cipher
from dtmf_shield.model.keys import KekSettings
settings = msgspec.json.decode(sys.argv[1], type=KekSettings)
cipher = open_token_cipher(settings, Path(sys.argv[2]), SystemClock())
print(cipher.open(*cipher.seal("pm_TEST", row="k1"), row="k1"))
print("softhsm" in Path("/proc/self/maps").read_text(), "pkcs11" in sys.modules)
"""

    done = subprocess.run(
        [sys.executable, "-c", program, msgspec.json.encode(settings), str(ledger_in(tmp_path))],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[4]), "PATH": "/usr/bin:/bin"},
    )

    assert done.stdout.splitlines() == ["pm_TEST", "False False"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key_label": "nothing"}, "holds no key encryption key; make one"),
        ({"token": "absent"}, "NoSuchToken"),
        ({"module": "/nowhere/lib.so"}, r"keys\.module: /nowhere/lib\.so cannot be loaded"),
        ({"pin_file": "/nowhere/pin"}, r"keys\.pin_file: /nowhere/pin cannot be read"),
    ],
)
def test_what_is_wrong_is_told_across_the_process_border(
    tmp_path: Path, softhsm: Settings, change: dict[str, str], words: str
) -> None:
    settings = msgspec.structs.replace(softhsm("wrong"), **change)

    with pytest.raises(OperatorError, match=words):
        open_token_cipher(settings, ledger_in(tmp_path), StoppedClock())


def test_a_wrong_pin_and_one_that_others_may_read_are_told(tmp_path: Path, softhsm: Settings) -> None:
    pin = tmp_path / "pin"
    pin.write_text("9999\n")
    pin.chmod(0o600)
    settings = msgspec.structs.replace(softhsm("pin"), pin_file=str(pin))

    with pytest.raises(OperatorError, match="PinIncorrect") as refused:
        Pkcs11Ring(settings, writable=False)
    assert "9999" not in str(refused.value)

    pin.chmod(0o644)
    with pytest.raises(OperatorError, match="chmod 600"):
        Pkcs11Ring(settings, writable=False)


def test_a_key_destroyed_in_the_hsm_is_told(tmp_path: Path, softhsm: Settings) -> None:
    settings = softhsm("destroyed")
    with ring_of(settings) as ring:
        lost = ring.generate(NOON_S)
    seal_tokens(tmp_path, 1, settings)
    with ring_of(settings) as ring:
        ring.generate(NOON_S + 1)
        ring.retire(lost)

    with pytest.raises(OperatorError, match=f"no AES key {lost}"):
        open_token_cipher(settings, ledger_in(tmp_path), StoppedClock())


def test_a_library_that_crashes_takes_only_its_own_process(tmp_path: Path, softhsm: Settings) -> None:
    library = tmp_path / "crash.so"
    source = "void C_GetFunctionList(void) { __builtin_trap(); }"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-"], input=source, text=True, check=True
    )
    settings = msgspec.structs.replace(softhsm("crash"), module=str(library))

    with pytest.raises(OperatorError, match="ended its process with -4"):
        open_token_cipher(settings, ledger_in(tmp_path), StoppedClock())
