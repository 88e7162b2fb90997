"""From settings to a TokenCipher, before the process seals itself; from an HSM by way of a process of its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cde.keys import hsm_process
from dtmf_shield.cde.keys.preparation import open_ring, prepare
from dtmf_shield.cde.keys.token_cipher import TokenCipher
from dtmf_shield.model.keys import KekSettings
from dtmf_shield.store.dek_rows import DekRows

KEK_FILE: Final = "kek.json"


def open_token_cipher(settings: KekSettings, ledger_file: Path, clock: Clock) -> TokenCipher:
    """Return the cipher with every live data key loaded and those of the next PREPARED_DAYS made.

    Call it before the seal; files and HSM sessions it opened are closed when it returns. The first start makes the key
    file, beside the ledger where the settings name none. Raises OperatorError where a key is missing or does not fit:
    tokens would be lost behind it.
    """
    if not settings.file:
        settings = msgspec.structs.replace(settings, file=str(ledger_file.with_name(KEK_FILE)))
    try:
        if settings.kek == "pkcs11":
            deks = hsm_process.ask(hsm_process.Request(settings, str(ledger_file), clock.wall_s()))
        else:
            with closing(DekRows(ledger_file)) as rows:
                deks = prepare(rows, open_ring(settings), clock.wall_s())
    except sqlite3.Error as error:
        raise OperatorError(f"{ledger_file}: cannot read or write data keys ({error}); try again") from error
    cipher = TokenCipher(deks, clock)
    # What the library loads at the first use is loaded now.
    cipher.open(*cipher.seal("", row="start"), row="start")
    return cipher
