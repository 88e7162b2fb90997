"""The pool of prompts in the media process: recorded pieces, laid one behind the other in memory that all calls share.

Only the process writes, only behind what was written; the shard reads. A piece loaded again lies anew, so that a call
that plays the old one plays it to its end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import get_logger
from dtmf_shield.media.codecs.g711 import decode_ulaw
from dtmf_shield.media.rtp.clock import SAMPLE_RATE_HZ
from dtmf_shield.model.messages import PromptsLoaded
from dtmf_shield.prompts.grammar.parts import PieceName
from dtmf_shield.prompts.store import LanguagePieces, PromptStore, StoredForm

POOL_MINUTES: Final = 40
"""Of all languages together, with what was loaded again. Pages that nothing was written to cost no memory."""
POOL_SAMPLES: Final = POOL_MINUTES * 60 * SAMPLE_RATE_HZ
WIDEBAND: Final = 2
"""Samples of the 16 kHz pool to one of the 8 kHz pool."""

_log = get_logger("prompts")


class PromptPool:
    """Pieces by name. ``narrow``: int16, shape (n,), 8 kHz; ``wide``: int16, shape (2 * n,), 16 kHz."""

    def __init__(self, narrow: NDArray[np.int16], wide: NDArray[np.int16]) -> None:
        self._narrow, self._wide = narrow, wide
        self._pieces: dict[str, tuple[int, int]] = {}
        self._used = 0

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, name: str, narrow: NDArray[np.int16], wide: NDArray[np.int16]) -> None:
        """Lay a piece into the pool: the same audio at 8 and at 16 kHz. Raises OperatorError where it is full.

        A piece that is there already, sample for sample, stays where it is.
        """
        length = min(len(narrow), len(wide) // WIDEBAND)
        if self._is_there(name, narrow[:length]):
            return
        start = self._used
        if start + length > len(self._narrow):
            raise OperatorError(
                f"prompts: the pool of {POOL_MINUTES} minutes is full at {name!r}; leave out languages or restart"
            )
        self._narrow[start : start + length] = narrow[:length]
        self._wide[WIDEBAND * start : WIDEBAND * (start + length)] = wide[: WIDEBAND * length]
        self._used = start + length
        self._pieces[name] = (start, length)

    def places(self, names: tuple[str, ...]) -> list[tuple[int, int]] | None:
        """Return (start, length) of each piece, None where one is not there."""
        places = [self._pieces.get(name) for name in names]
        return None if any(place is None for place in places) else [place for place in places if place]

    def _is_there(self, name: str, narrow: NDArray[np.int16]) -> bool:
        start, length = self._pieces.get(name, (0, -1))
        return length == len(narrow) and bool(np.array_equal(self._narrow[start : start + length], narrow))


def load_prompts(pool: PromptPool, path: str) -> PromptsLoaded:
    """Lay every piece built in ``path`` into the pool, as ``language/name``. What is wrong stands in the answer."""
    count = 0
    try:
        store = PromptStore.open(Path(path))
        try:
            for language in store.languages:
                count += _load_language(pool, store.language(language))
        finally:
            store.close()
    except OperatorError as error:
        _log.error("prompts_not_loaded", reason=str(error))
        return PromptsLoaded(path, count, str(error))
    return PromptsLoaded(path, count)


def _load_language(pool: PromptPool, pieces: LanguagePieces) -> int:
    for name in pieces.pieces:
        codes = np.frombuffer(pieces.packets(PieceName(name), StoredForm.PCMU), np.uint8)
        wide = np.frombuffer(pieces.packets(PieceName(name), StoredForm.PCM16_WIDE), "<i2").astype(np.int16)
        narrow = np.zeros(len(codes), np.int16)
        decode_ulaw(codes.copy(), narrow)
        pool.add(f"{pieces.language}/{name}", narrow, wide)
    return len(pieces.pieces)
