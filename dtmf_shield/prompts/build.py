"""Builds a language's store from what is wanted: recording first, else an engine; nothing twice that is already there.

A piece that cannot be made is a finding, not the end: the others are built, and the old store stays until the new one
is whole. Whether our own detector hears a key in a piece is asked through ``hears_keys``, which service plugs in.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from dtmf_shield.prompts.engines import recorded
from dtmf_shield.prompts.engines.choice import EngineName, choose
from dtmf_shield.prompts.engines.engine import Engine, Voice
from dtmf_shield.prompts.errors import MissingEngineError, PromptError
from dtmf_shield.prompts.grammar.parts import PAUSES_MS
from dtmf_shield.prompts.script import Segment, segments_of
from dtmf_shield.prompts.sound.shaping import (
    NO_SOUND,
    PACKET_MS,
    POST_PROCESSING_VERSION,
    Shaped,
    Sound,
    joined,
    shaped,
    silence,
)
from dtmf_shield.prompts.store import (
    PACKET_OCTETS,
    Index,
    IndexedPiece,
    LanguagePieces,
    StoredForm,
    read_index,
)
from dtmf_shield.prompts.store_writer import WAV_FOLDER, Packets, StoredPiece, packets_of, write_language
from dtmf_shield.prompts.wanted import WantedPiece, unique

WORKERS_MAX: Final = 4
RATES_TRIED_PERCENT: Final = (100, 95, 105, 90)
"""A synthetic piece in which the detector hears a key is said again a little slower or faster."""

HearsKeys = Callable[[Packets], int]
"""How many keys the detector hears in a piece."""
Progress = Callable[[str, int, int], None]
"""Language, pieces done, pieces in all."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Where to and with what."""

    directory: Path
    recordings: Path | None = None
    """Folder with LANGUAGE/NAME.wav."""
    engine: EngineName = "auto"
    voices: Path | None = None
    """Folder of piper's voices."""


@dataclass(slots=True)
class LanguageReport:
    """What a build did in one language."""

    language: str
    pieces: int = 0
    built: int = 0
    kept: int = 0
    draft: int = 0
    duration_ms: int = 0
    octets: int = 0
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Job:
    """One piece with its source decided. ``recording``: its file; none: said by the engine."""

    wanted: WantedPiece
    voice: Voice
    recording: Path | None
    sha256: str


def build_language(
    language: str,
    wanted: Iterable[WantedPiece],
    options: BuildOptions,
    hears_keys: HearsKeys,
    progress: Progress,
) -> LanguageReport:
    """Build one language. Raises MissingEngineError where no engine speaks it, StoreError where the disk refuses."""
    return _Build(language, options, hears_keys, progress).run(unique(wanted))


class _Build:
    """One run over one language."""

    def __init__(
        self, language: str, options: BuildOptions, hears_keys: HearsKeys, progress: Progress
    ) -> None:
        self._language, self._options = language, options
        self._hears_keys, self._progress = hears_keys, progress
        self._report = LanguageReport(language)
        self._choice: tuple[Engine, Voice] | None = None
        self._chosen = False

    def run(self, wanted: list[WantedPiece]) -> LanguageReport:
        folder = self._options.directory / self._language
        index = read_index(folder)
        jobs = [job for each in wanted if (job := self._job(each)) is not None]
        if index is not None and self._is_current(folder, index, jobs):
            self._count(index, kept=len(jobs))
            return self._report
        kept = self._kept(folder, index, {job.sha256 for job in jobs})
        fresh = {job.sha256: job for job in jobs if job.sha256 not in kept}
        made = self._make(list(fresh.values()))
        sounds = {**kept, **made}
        pieces = [self._piece(job, *sounds[job.sha256]) for job in jobs if job.sha256 in sounds]
        index = write_language(self._options.directory, self._language, [*_named_apart(pieces), *_pauses()])
        self._count(index, kept=sum(job.sha256 in kept for job in jobs))
        return self._report

    def _job(self, wanted: WantedPiece) -> _Job | None:
        """Decide who says a piece; what cannot be said is a finding. Raises MissingEngineError."""
        path = recorded.find(self._options.recordings, self._language, wanted.recorded_as)
        if path is None and not wanted.text:
            self._find(wanted, f"no file {self._file_of(wanted)}; record it, or give its text")
            return None
        try:
            return self._said_job(wanted) if path is None else self._recorded_job(wanted, path)
        except MissingEngineError:
            raise
        except PromptError as error:
            self._find(wanted, str(error))
            return None

    def _file_of(self, wanted: WantedPiece) -> str:
        return f"{recorded.FOLDER}/{self._language}/{wanted.recorded_as[0]}.wav"

    def _said_job(self, wanted: WantedPiece) -> _Job:
        choice = self._engine()
        if choice is None:
            raise PromptError(f"no file {self._file_of(wanted)}; record it")
        segments_of(wanted.text)
        return _Job(wanted, choice[1], None, _key(choice[1], self._language, wanted.text))

    def _recorded_job(self, wanted: WantedPiece, path: Path) -> _Job:
        voice = recorded.voice_of(path)
        return _Job(wanted, voice, path, _key(voice, self._language, ""))

    def _engine(self) -> tuple[Engine, Voice] | None:
        if not self._chosen:
            self._choice = choose(self._options.engine, self._language, self._options.voices)
            self._chosen = True
        return self._choice

    def _is_current(self, folder: Path, index: Index, jobs: list[_Job]) -> bool:
        rows = {name: row.sha256 for name, row in index.pieces.items() if name not in PAUSES_MS}
        same = rows == {job.wanted.name: job.sha256 for job in jobs} and not self._report.findings
        files = [folder / name for name in index.files.values()]
        wavs = [folder / WAV_FOLDER / f"{row.wav}.wav" for row in index.pieces.values()]
        return same and all(path.is_file() for path in (*files, *wavs))

    def _kept(
        self, folder: Path, index: Index | None, wanted: set[str]
    ) -> Mapping[str, tuple[Packets, float | None]]:
        """Return what the old store has of what is wanted, by content."""
        if index is None:
            return {}
        try:
            old = LanguagePieces(folder, index)
        except PromptError:
            return {}  # a store that is broken is built anew
        rows = [row for row in index.pieces.values() if row.sha256 in wanted]
        return {row.sha256: (_old(old, row), row.loudness_lufs) for row in rows}

    def _make(self, jobs: list[_Job]) -> dict[str, tuple[Packets, float | None]]:
        made: dict[str, tuple[Packets, float | None]] = {}
        self._progress(self._language, 0, len(jobs))
        with ThreadPoolExecutor(min(WORKERS_MAX, os.cpu_count() or 1)) as pool:
            for done, (job, result) in enumerate(zip(jobs, pool.map(self._try, jobs), strict=True), 1):
                if isinstance(result, str):
                    self._find(job.wanted, result)
                else:
                    made[job.sha256] = result
                self._progress(self._language, done, len(jobs))
        self._report.built = len(made)
        return made

    def _try(self, job: _Job) -> tuple[Packets, float | None] | str:
        try:
            return self._said(job) if job.recording is None else self._recorded(job.recording)
        except PromptError as error:
            return str(error)

    def _recorded(self, path: Path) -> tuple[Packets, float | None]:
        made = shaped(recorded.read(path))
        packets = packets_of(made)
        if self._hears_keys(packets):
            raise PromptError(f"{path}: a keypad tone is heard in it; record it again, or without music")
        return packets, round(made.loudness_lufs, 1)

    def _said(self, job: _Job) -> tuple[Packets, float | None]:
        for rate_percent in RATES_TRIED_PERCENT:
            made = self._speak(job, rate_percent)
            packets = packets_of(made)
            if not self._hears_keys(packets):
                return packets, round(made.loudness_lufs, 1)
        raise PromptError(
            f"a keypad tone is heard in it as {job.voice.engine} says it; word it otherwise, or record it"
        )

    def _speak(self, job: _Job, rate_percent: int) -> Shaped:
        choice = self._engine()
        if choice is None:
            raise PromptError("no engine")
        engine, voice = choice
        sounds: list[tuple[Sound, int]] = []
        for segment in segments_of(job.wanted.text):
            said = Segment(segment.text, segment.rate_percent * rate_percent // 100)
            sound = engine.speak(said, voice) if segment.text else NO_SOUND
            sounds.append((sound, segment.pause_ms))
        return shaped(joined(sounds))

    def _piece(self, job: _Job, packets: Packets, loudness_lufs: float | None) -> StoredPiece:
        wanted, voice = job.wanted, job.voice
        return StoredPiece(
            name=wanted.name,
            text=wanted.text,
            engine=voice.engine,
            voice=voice.name,
            version=voice.version,
            draft=voice.draft,
            sha256=job.sha256,
            loudness_lufs=loudness_lufs,
            wav=wanted.recorded_as[0],
            packets=packets,
        )

    def _find(self, wanted: WantedPiece, sentence: str) -> None:
        self._report.findings.append(
            f"language {self._language}: {wanted.origin} ({wanted.name}): {sentence}"
        )

    def _count(self, index: Index, kept: int) -> None:
        report = self._report
        report.pieces, report.kept = len(index.pieces), kept
        report.draft = sum(row.draft for row in index.pieces.values())
        report.duration_ms = index.packets * PACKET_MS
        report.octets = index.packets * sum(PACKET_OCTETS.values())


def _key(voice: Voice, language: str, text: str) -> str:
    """Return the content hash of a piece: everything that its sound depends on."""
    parts = [POST_PROCESSING_VERSION, language, voice.engine, voice.version, voice.name, text]
    return hashlib.sha256(json.dumps(parts).encode("utf-8")).hexdigest()


def _old(store: LanguagePieces, row: IndexedPiece) -> Packets:
    return Packets({form: bytes(store.packets_at(row, form)) for form in StoredForm})


def _named_apart(pieces: list[StoredPiece]) -> list[StoredPiece]:
    """Return pieces whose wav names differ: where two want one, the later is named by its piece."""
    taken: dict[str, str] = {}
    apart = []
    for piece in pieces:
        if taken.setdefault(piece.wav, piece.sha256) != piece.sha256:
            apart.append(replace(piece, wav=piece.name))
        else:
            apart.append(piece)
    return apart


def _pauses() -> list[StoredPiece]:
    """Return the pieces of silence that every language has."""
    return [
        StoredPiece(
            name=name,
            text="",
            engine="none",
            voice="",
            version=str(POST_PROCESSING_VERSION),
            draft=False,
            sha256=hashlib.sha256(f"{name} {POST_PROCESSING_VERSION}".encode()).hexdigest(),
            loudness_lufs=None,
            wav=name,
            packets=packets_of(silence(duration_ms)),
        )
        for name, duration_ms in PAUSES_MS.items()
    ]
