"""Compile the media kernels once, so that the service starts quickly: `python -m dtmf_shield.service.warm_cache`.

Says what it does. Removes the folders of kernels that belong to older sources. Nothing is served.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import Final

import numpy as np

from dtmf_shield.media import KERNEL_FOLDER, detector, masker
from dtmf_shield.media.codecs import g711
from dtmf_shield.service.media_process import load_kernels

OLDER_KEPT_S: Final = 3600.0
"""Kernels of other sources may belong to a program still running; after an hour it has all it needs."""


def warm_files() -> None:
    """Compile what the commands `detect` and `mask` and the test phone call by themselves."""
    pcm, out, codes = np.zeros(160, np.int16), np.zeros(160, np.int16), np.zeros(160, np.uint8)
    state, keys = np.zeros(1, masker.SHIELD_STATE_DTYPE), np.zeros(16, np.uint8)
    masker.shield_packet(state, 0, pcm, out, masker.MODE_GUARD, keys)
    masker.shield_wideband_packet(state, 0, pcm, out, masker.MODE_GUARD, keys)
    masker.conceal_packet(state, 0, 160, out, masker.MODE_GUARD)
    masker.force_mute(state, 0, 160)
    detector.detect_packet(state, 0, pcm, keys)
    detector.detect_wideband_packet(state, 0, pcm, keys)
    for encode, decode in ((g711.encode_ulaw, g711.decode_ulaw), (g711.encode_alaw, g711.decode_alaw)):
        encode(pcm, codes)
        decode(codes, pcm)


def forget_older() -> int:
    """Remove the kernel folders of other sources; return how many."""
    until_s = time.time() - OLDER_KEPT_S
    folders = KERNEL_FOLDER.parent.glob("kernels-*")
    older = [path for path in folders if path != KERNEL_FOLDER and path.stat().st_mtime < until_s]
    for path in older:
        shutil.rmtree(path, ignore_errors=True)
    return len(older)


def main() -> int:
    """Warm and report."""
    write = sys.stdout.write
    write(f"kernels are kept in {KERNEL_FOLDER}\n")
    for name, warm in (("the packet loop", load_kernels), ("codecs and masker", warm_files)):
        write(f"compiling {name} ... ")
        sys.stdout.flush()
        started_s = time.monotonic()
        warm()
        write(f"{time.monotonic() - started_s:.1f} s\n")
    removed = forget_older()
    if removed:
        write(f"removed {removed} folders of older kernels\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
