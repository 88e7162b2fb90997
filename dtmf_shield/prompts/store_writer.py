"""Writes one language of a store: three files of packets, then the index in one step, then wav files for ears.

A running service keeps the files it has mapped: new ones get new names, and old ones are removed only from the folder.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import soundfile
from numpy.typing import NDArray

from dtmf_shield.prompts.errors import StoreError
from dtmf_shield.prompts.grammar.parts import PieceName
from dtmf_shield.prompts.sound.shaping import NARROW_HZ, PACKET_MS, Shaped
from dtmf_shield.prompts.store import (
    FORMAT,
    INDEX_FILE,
    PACKET_OCTETS,
    PIECES_MAX,
    Index,
    IndexedPiece,
    StoredForm,
)

WAV_FOLDER: Final = "wav"
_HASH_CHARACTERS: Final = 16
_SUBTYPES: Final = {StoredForm.PCMU: "ULAW", StoredForm.PCMA: "ALAW"}


@dataclass(frozen=True, slots=True)
class Packets:
    """A piece's packets in every form."""

    octets: Mapping[StoredForm, bytes]

    @property
    def count(self) -> int:
        """How many packets of 20 ms."""
        return len(self.octets[StoredForm.PCMU]) // PACKET_OCTETS[StoredForm.PCMU]


@dataclass(frozen=True, slots=True)
class StoredPiece:
    """A piece to be written, its place not yet known."""

    name: PieceName
    text: str
    engine: str
    voice: str
    version: str
    draft: bool
    sha256: str
    loudness_lufs: float | None
    wav: str
    packets: Packets


def packets_of(shaped: Shaped) -> Packets:
    """Return a shaped piece as packets."""
    octets = {form: encoded(shaped.narrow, form) for form in _SUBTYPES}
    return Packets({**octets, StoredForm.PCM16_WIDE: shaped.wide.astype("<i2").tobytes()})


def encoded(pcm: NDArray[np.int16], form: StoredForm) -> bytes:
    """Return G.711 codes of 8 kHz ``pcm``, shape (n,)."""
    file = io.BytesIO()
    soundfile.write(file, pcm, NARROW_HZ, format="RAW", subtype=_SUBTYPES[form])
    return file.getvalue()


def decoded(codes: bytes, form: StoredForm) -> NDArray[np.int16]:
    """Return 8 kHz PCM16 of G.711 ``codes``."""
    pcm, _ = soundfile.read(
        io.BytesIO(codes),
        samplerate=NARROW_HZ,
        channels=1,
        format="RAW",
        subtype=_SUBTYPES[form],
        dtype="int16",
    )
    return np.asarray(pcm, np.int16)


def write_language(directory: Path, language: str, pieces: list[StoredPiece]) -> Index:
    """Write a language's store and return its index. Raises StoreError."""
    folder = directory / language
    if len(pieces) > PIECES_MAX:
        raise StoreError(
            f"language {language}: {len(pieces)} pieces, at most {PIECES_MAX}; spread flows over services"
        )
    try:
        (folder / WAV_FOLDER).mkdir(parents=True, exist_ok=True)
        index = _write_packets(folder, language, pieces)
        _replace(folder / INDEX_FILE, msgspec.json.format(msgspec.json.encode(index), indent=1))
        _remove_others(folder, set(index.files.values()))
        _write_wavs(folder / WAV_FOLDER, pieces)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written ({error.strerror}); name another directory (--out)"
        ) from None
    return index


def _write_packets(folder: Path, language: str, pieces: list[StoredPiece]) -> Index:
    places: dict[str, int] = {}  # the same sound under two names is stored once
    stored: list[StoredPiece] = []
    n_packets = 0
    for piece in pieces:
        if piece.sha256 not in places:
            places[piece.sha256] = n_packets
            n_packets += piece.packets.count
            stored.append(piece)
    files = {}
    for form in StoredForm:
        octets = b"".join(piece.packets.octets[form] for piece in stored)
        files[form.value] = f"{form.value}-{hashlib.sha256(octets).hexdigest()[:_HASH_CHARACTERS]}.bin"
        _replace(folder / files[form.value], octets)
    rows: dict[str, IndexedPiece] = {piece.name: _row(piece, places[piece.sha256]) for piece in pieces}
    return Index(format=FORMAT, language=language, packets=n_packets, files=files, pieces=rows)


def _row(piece: StoredPiece, first_packet: int) -> IndexedPiece:
    return IndexedPiece(
        text=piece.text,
        engine=piece.engine,
        voice=piece.voice,
        version=piece.version,
        draft=piece.draft,
        duration_ms=piece.packets.count * PACKET_MS,
        first_packet=first_packet,
        packets=piece.packets.count,
        loudness_lufs=piece.loudness_lufs,
        sha256=piece.sha256,
        wav=piece.wav,
    )


def _replace(path: Path, octets: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _remove_others(folder: Path, kept: set[str]) -> None:
    for path in folder.glob("*.bin"):
        if path.name not in kept:
            path.unlink()


def _write_wavs(folder: Path, pieces: list[StoredPiece]) -> None:
    """Write what a caller on a µ-law leg hears."""
    wanted = {f"{piece.wav}.wav": piece for piece in pieces}
    for path in folder.glob("*.wav"):
        if path.name not in wanted:
            path.unlink()
    for name, piece in wanted.items():
        pcm = decoded(piece.packets.octets[StoredForm.PCMU], StoredForm.PCMU)
        soundfile.write(folder / name, pcm, NARROW_HZ, subtype="PCM_16", format="WAV")
