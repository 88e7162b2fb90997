"""[keys] of the configuration with absolute paths, as cde and the ``keys`` commands take it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dtmf_shield.base.config import KeysSection
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.model.keys import KekSettings

CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
"""systemd.exec(5): where a unit finds its credentials."""


def kek_settings(keys: KeysSection, base: Path, state: Path, environment: Mapping[str, str]) -> KekSettings:
    """Return the settings. Raises OperatorError where a credential is wanted and systemd gives none.

    ``base``: what paths in the configuration start from; ``state``: the state directory.
    """
    file = state / keys.file
    if keys.kek == "credential":
        directory = environment.get(CREDENTIALS_VARIABLE)
        if not directory:
            raise OperatorError(
                f'keys.kek: "credential", but {CREDENTIALS_VARIABLE} is not set; run it in a systemd unit with'
                f" LoadCredential={keys.credential}:FILE, or take kek = 'file'"
            )
        file = Path(directory) / keys.credential
    return KekSettings(
        kek=keys.kek,
        file=str(file.absolute()),
        module=str(base / keys.module) if keys.module else "",
        token=keys.token or "",
        pin_file=str((base / keys.pin_file).absolute()) if keys.pin_file else "",
        key_label=keys.key_label,
        module_environment={
            name: environment[name] for name in keys.module_environment if name in environment
        },
    )


def kek_findings(keys: KeysSection, base: Path) -> list[str]:
    """Check the files that an HSM needs. Returns one sentence a finding."""
    if keys.kek != "pkcs11" or keys.module is None or keys.pin_file is None:
        return []
    findings = []
    if not (base / keys.module).exists():
        findings.append(
            f"keys.module: {base / keys.module} is not there; name the PKCS #11 library of your HSM"
        )
    pin_file = base / keys.pin_file
    if not pin_file.exists():
        findings.append(f"keys.pin_file: {pin_file} is not there; write the user PIN on one line there")
    elif pin_file.stat().st_mode & 0o077:
        findings.append(f"keys.pin_file: {pin_file}: others may read it; chmod 600 it")
    return findings
