"""One SoftHSM2 token for the session: a library reads its configuration once a process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtmf_shield.model.keys import KekSettings

PIN = "1234"
LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so")


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], KekSettings]]:
    """Settings by key label: each test takes a label of its own."""
    directory = tmp_path_factory.mktemp("softhsm")
    (directory / "tokens").mkdir()
    configuration = directory / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {directory / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    (directory / "pin").write_text(PIN + "\n")
    (directory / "pin").chmod(0o600)
    variables = {"SOFTHSM2_CONF": str(configuration)}
    subprocess.run(
        [*["softhsm2-util", "--init-token", "--free", "--label", "vault", "--so-pin", "5678", "--pin"], PIN],
        env=os.environ | variables,
        check=True,
        capture_output=True,
    )
    module = next(path for path in LIBRARIES if Path(path).exists())

    def settings(key_label: str) -> KekSettings:
        return KekSettings(
            kek="pkcs11",
            module=module,
            token="vault",
            pin_file=str(directory / "pin"),
            key_label=key_label,
            module_environment=variables,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(configuration))
        yield settings
