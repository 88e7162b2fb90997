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
_SLOT_LAYOUT = _PACKAGE.parent / "account_data" / "slots.py"
"""Kernels write keys by the layout of the digit slots."""


def source_digest(package: Path, others: tuple[Path, ...]) -> str:
    """Return what tells one state of all sources in `package` and of `others` from every other state."""
    digest = hashlib.sha256(numba.__version__.encode())
    for path in (*sorted(package.rglob("*.py")), *others):
        source = path.read_bytes()
        digest.update(f"{path.name}:{len(source)}:".encode())
        digest.update(source)
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


KERNEL_FOLDER = _writable_folder() / f"kernels-{source_digest(_PACKAGE, (_SLOT_LAYOUT,))}"
"""Where this process keeps and finds compiled kernels."""
numba.config.CACHE_DIR = str(KERNEL_FOLDER)  # type: ignore[attr-defined]  # made at run time
