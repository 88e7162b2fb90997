"""Public speech and music of Debian packages, fetched into the user's cache (never into the repository) and decoded.

A package that is installed is read where it lies; others are fetched with apt-get download and unpacked with dpkg -x,
and nothing is installed. Files that decode to equal samples count once. Beeps, screeches and modem signals are a kind
of their own: they are no speech.
"""

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

LANGUAGES = ("en", "es", "fr", "it", "ru")
PACKAGES = {
    **{f"asterisk-core-sounds-{language}-wav": f"prompts {language}" for language in LANGUAGES},
    "codec2-examples": "codec2 speech",
    "asterisk-moh-opsound-wav": "music",
}
# codec2-examples' raw files are int16 at 8 kHz; its modem and test signals (and all of octave/) carry no speech.
_SIGNALS = re.compile(
    r"^(beep|beeperr|ascending-2tone|descending-2tone|tt-monkeys|spy-jingle|confbridge-(join|leave))\.wav$"
    r"|^(700d_end_over|cq_ref|sine1k.*|test_.*|testframes.*)\.raw$"
)
SIGNALS = "beeps, modems"
_FETCH_TIME_MAX_S = 600


@dataclass(frozen=True, slots=True)
class Recording:
    """One decoded file: its kind (a value of PACKAGES, or SIGNALS), name, and int16 samples at 8 kHz."""

    kind: str
    name: str
    pcm: NDArray[np.int16]


def cache_folder() -> Path:
    """Return where fetched packages are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dtmf-shield-bench"


def _unpacked(package: str) -> Path:
    """Fetch and unpack `package` unless that was done before; return its folder."""
    folder = cache_folder() / package
    if folder.exists():
        return folder
    cache_folder().mkdir(parents=True, exist_ok=True)
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    subprocess.run(
        ["apt-get", "download", package],
        cwd=cache_folder(), check=True, timeout=_FETCH_TIME_MAX_S, capture_output=True,
    )  # fmt: skip
    archive = next(cache_folder().glob(f"{package}_*.deb"))
    subprocess.run(["dpkg", "-x", archive, partial], check=True, timeout=_FETCH_TIME_MAX_S)
    archive.unlink()
    partial.rename(folder)
    return folder


def _files(package: str) -> list[Path]:
    """Return the package's audio files."""
    listing = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        paths = [Path(line) for line in listing.stdout.splitlines()]
    else:
        paths = list(_unpacked(package).rglob("*"))
    return sorted(path for path in paths if path.suffix in (".wav", ".raw") and path.is_file())


def _decoded(path: Path) -> NDArray[np.int16]:
    """Return int16 at 8 kHz of a wav or headerless file, first channel."""
    if path.suffix == ".raw":
        samples, rate = np.fromfile(path, "<i2"), 8_000
    else:
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
        samples = samples[:, 0]
    if rate != 8_000:
        resampled = resample_poly(samples.astype(np.float64), 8_000, rate)
        samples = np.clip(np.round(resampled), -32768, 32767).astype(np.int16)
    return np.ascontiguousarray(samples)


def recordings() -> list[Recording]:
    """Return all of it, de-duplicated, about 3 h. Raises SystemExit naming what is missing."""
    missing = [tool for tool in ("apt-get", "dpkg") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"public audio comes from Debian packages: {' and '.join(missing)} not found")
    found: list[Recording] = []
    seen: set[bytes] = set()
    for package, kind in PACKAGES.items():
        try:
            paths = _files(package)
        except (subprocess.SubprocessError, StopIteration) as error:
            raise SystemExit(
                f"cannot fetch Debian package {package} (apt-get update first?): {error}"
            ) from error
        for path in paths:
            pcm = _decoded(path)
            is_signal = _SIGNALS.search(path.name) or "/octave/" in str(path)
            # Every language set carries the same beeps and screeches, differently dithered: those are told by name.
            digest = path.name.encode() if is_signal else hashlib.sha256(pcm.tobytes()).digest()
            if digest in seen or not len(pcm):
                continue
            seen.add(digest)
            found.append(Recording(SIGNALS if is_signal else kind, f"{kind}: {path.name}", pcm))
    return found
