"""The store of built prompts as calls read it: an index and three files of ready packets per language, memory-mapped.

::

    DIRECTORY/en-GB/index.json          what each piece is and where it lies
    DIRECTORY/en-GB/ulaw-HASH.bin       G.711 µ-law, 160 octets a packet of 20 ms
    DIRECTORY/en-GB/alaw-HASH.bin       G.711 A-law, likewise
    DIRECTORY/en-GB/wide-HASH.bin       PCM16 little-endian at 16 kHz, 640 octets a packet, for G.722
    DIRECTORY/en-GB/wav/NAME.wav        8 kHz PCM16, for ears

Nothing is synthesized here and nothing can be: this module knows no engine. A build replaces index.json in one step; a
store that was opened before keeps its own files until it is closed.
"""

from __future__ import annotations

import enum
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import msgspec

from dtmf_shield.prompts.errors import MissingPieceError, StoreError, UnknownLanguageError
from dtmf_shield.prompts.grammar.parts import PieceName

FORMAT: Final = 1
INDEX_FILE: Final = "index.json"
INDEX_OCTETS_MAX: Final = 16 << 20
PIECES_MAX: Final = 20_000
PACKET_MS: Final = 20
LANGUAGES_MAX: Final = 64


class StoredForm(enum.StrEnum):
    """How a piece's packets are coded."""

    PCMU = "ulaw"
    PCMA = "alaw"
    PCM16_WIDE = "wide"
    """16 kHz PCM16: G.722 carries state from packet to packet and is encoded on its leg."""


PACKET_OCTETS: Final[Mapping[StoredForm, int]] = {
    StoredForm.PCMU: 160,
    StoredForm.PCMA: 160,
    StoredForm.PCM16_WIDE: 640,
}


class IndexedPiece(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One piece of a language's index."""

    text: str
    engine: str
    voice: str
    version: str
    draft: bool
    """Draft voice: understandable, to be replaced by a better one."""
    duration_ms: int
    first_packet: int
    packets: int
    loudness_lufs: float | None
    sha256: str
    """Of everything the sound depends on: text, language, voice, engine version, post-processing."""
    wav: str
    """File name in the folder ``wav``, without suffix; a recording of that name takes its place at a build."""


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``index.json``."""

    format: int
    language: str
    packets: int
    files: dict[str, str]
    """Form to file name."""
    pieces: dict[str, IndexedPiece]


def read_index(folder: Path) -> Index | None:
    """Return a language's index, none where it was never built. Raises StoreError."""
    path = folder / INDEX_FILE
    try:
        if path.stat().st_size > INDEX_OCTETS_MAX:
            raise StoreError(
                f"{path} is larger than {INDEX_OCTETS_MAX} octets; delete {folder} and build again"
            )
        index = msgspec.json.decode(path.read_bytes(), type=Index)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}); make it readable") from None
    except msgspec.DecodeError:
        raise StoreError(f"{path} is no index of this version; delete {folder} and build again") from None
    if index.format != FORMAT or len(index.pieces) > PIECES_MAX or set(index.files) != set(StoredForm):
        raise StoreError(f"{path} is no index of this version; delete {folder} and build again")
    return index


class LanguagePieces:
    """The pieces of one language, mapped."""

    def __init__(self, folder: Path, index: Index) -> None:
        self.language = index.language
        self._pieces = index.pieces
        self._maps = {form: _mapped(folder / index.files[form], form, index.packets) for form in StoredForm}

    def __contains__(self, name: object) -> bool:
        return name in self._pieces

    @property
    def pieces(self) -> Mapping[str, IndexedPiece]:
        """Every piece by its name."""
        return self._pieces

    def piece(self, name: PieceName) -> IndexedPiece:
        """Return what the index says of a piece. Raises MissingPieceError."""
        found = self._pieces.get(name)
        if found is None:
            raise MissingPieceError(self.language, name)
        return found

    def packets(self, name: PieceName, form: StoredForm) -> memoryview:
        """Return a piece's packets, one after the other, without copying. Raises MissingPieceError."""
        return self.packets_at(self.piece(name), form)

    def packets_at(self, piece: IndexedPiece, form: StoredForm) -> memoryview:
        """Return the packets of a piece of this language's index."""
        size = PACKET_OCTETS[form]
        return self._maps[form][piece.first_packet * size : (piece.first_packet + piece.packets) * size]

    def close(self) -> None:
        """Give the mappings back; slices that are still held keep theirs alive."""
        self._maps.clear()


class PromptStore:
    """Every language of a directory. Made once at a start or a reload, then only read."""

    def __init__(self, languages: Mapping[str, LanguagePieces]) -> None:
        self._languages = languages

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open what was built in ``directory``; where nothing was, a store without languages. Raises StoreError."""
        folders = sorted(path for path in directory.glob("*") if path.is_dir())
        if len(folders) > LANGUAGES_MAX:
            raise StoreError(
                f"{directory} holds {len(folders)} folders, at most {LANGUAGES_MAX}; is it a store of prompts?"
            )
        indexes = [(folder, index) for folder in folders if (index := read_index(folder)) is not None]
        return cls({index.language: LanguagePieces(folder, index) for folder, index in indexes})

    @property
    def languages(self) -> tuple[str, ...]:
        """Tags that are built."""
        return tuple(self._languages)

    def language(self, language: str) -> LanguagePieces:
        """Return one language. Raises UnknownLanguageError."""
        found = self._languages.get(language)
        if found is None:
            built = ", ".join(self._languages) or "none"
            raise UnknownLanguageError(
                f"language {language}: no prompts are built (built: {built}); run: dtmf-shield prompts build"
            )
        return found

    def close(self) -> None:
        """Close every language."""
        for language in self._languages.values():
            language.close()


def _mapped(path: Path, form: StoredForm, packets: int) -> memoryview:
    expected = packets * PACKET_OCTETS[form]
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if expected else b""
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be mapped ({error}); delete {path.parent} and build again") from None
    if len(mapped) != expected:
        raise StoreError(
            f"{path} has {len(mapped)} octets, its index says {expected}; delete {path.parent} and build again"
        )
    return memoryview(mapped)
