"""Where the service keeps what outlives it: one directory, mode 0700."""

from __future__ import annotations

from pathlib import Path

from dtmf_shield.base.config import Config
from dtmf_shield.base.errors import OperatorError


def state_directory_of(config: Config, base: Path, override: Path | None) -> Path:
    """Return the state directory, made where it is missing, mode 0700."""
    directory = override or base / config.state.directory
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = directory / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OperatorError(
            f"state.directory: {directory} cannot be written ({error.strerror}); name another directory"
        ) from error
    return directory.resolve()
