"""Where the key encryption keys (KEKs) are, as cde and the ``keys`` commands are told. Named here, never read."""

from __future__ import annotations

from typing import Literal

import msgspec


class KekSettings(msgspec.Struct, frozen=True, kw_only=True):
    """[keys] of the configuration with every path made absolute.

    ``file``: the key file of kind ``file`` or ``credential``. ``module`` (PKCS #11 library), ``token`` (its label),
    ``pin_file``, ``key_label`` and ``module_environment`` (variables that the library reads) are for ``pkcs11`` alone.
    """

    kek: Literal["file", "credential", "pkcs11"] = "file"
    file: str = ""
    module: str = ""
    token: str = ""
    pin_file: str = ""
    key_label: str = ""
    module_environment: dict[str, str] = {}
