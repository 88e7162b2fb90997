"""The media process: RED until masked. Caller audio comes in, masked audio goes out, keys go to their slot.

Importing it decides where compiled kernels are kept: one folder for each state of the sources. numba looks at a
kernel's own file only; with a kernel compiled against another file's older layout or threshold the mask would fail
open, so no cached kernel may ever outlive a change in any of them.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import numba

_PACKAGE = Path(__file__).resolve().parent
_SOURCES = (_PACKAGE, _PACKAGE.parent / "account_data")
"""Everything kernels are made of: account_data gives them the layout of the digit slots."""


def _source_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for folder in _SOURCES:
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{path.relative_to(_PACKAGE.parent)}:{path.stat().st_size}:".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _writable_folder() -> Path:
    """Return NUMBA_CACHE_DIR, else this package's, else the user's, else a temporary one of this process."""
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "dtmf-shield"
    given = Path(os.environ.get("NUMBA_CACHE_DIR") or _PACKAGE / "__pycache__")
    for folder in (given, home):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="dtmf-shield-kernels-"))


KERNEL_FOLDER = _writable_folder() / f"kernels-{_source_digest()}"
"""Where this process keeps and finds compiled kernels."""
numba.config.CACHE_DIR = str(KERNEL_FOLDER)  # type: ignore[attr-defined]  # made at run time
