"""``prompts build``: what flows and the default set want, built and listened to by our own detector.

A prompt in which the detector hears a key would be masked or, worse, counted, where a caller's phone sends it back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.prompts.build import BuildOptions, LanguageReport, Progress, build_language
from dtmf_shield.prompts.engines import recorded
from dtmf_shield.prompts.sound.shaping import NARROW_HZ, WIDE_HZ
from dtmf_shield.prompts.store import StoredForm
from dtmf_shield.prompts.store_writer import Packets, decoded
from dtmf_shield.prompts.wanted import DEFAULT_LANGUAGES, WantedPiece, flow_pieces, standard_pieces
from dtmf_shield.service.file_analysis import keys_heard
from dtmf_shield.service.prompts.check import FlowPrompts


def keys_heard_in(packets: Packets) -> int:
    """Return how many keys the detector hears in a piece, as a µ-law leg and as a wideband leg carry it."""
    narrow = decoded(packets.octets[StoredForm.PCMU], StoredForm.PCMU)
    wide = np.frombuffer(packets.octets[StoredForm.PCM16_WIDE], "<i2").astype(np.int16)
    return keys_heard(narrow, NARROW_HZ) + keys_heard(wide, WIDE_HZ)


def build_prompts(
    flows: Iterable[FlowPrompts], languages: tuple[str, ...], options: BuildOptions, progress: Progress
) -> list[LanguageReport]:
    """Build every language asked for, else the default set's and those the flows offer. Raises OperatorError."""
    known = list(flows)
    offered = [language for flow in known for language in flow.languages]
    chosen = languages or tuple(dict.fromkeys((*DEFAULT_LANGUAGES, *offered)))
    reports = []
    with _held(options.directory):
        for language in chosen:
            wanted = [each for flow in known for each in flow_pieces(flow.flow, flow.prompts, language)]
            # Flows come first: their names are the ones a supervisor records under.
            pieces = [*wanted, *standard_pieces(language)]
            report = build_language(language, pieces, options, keys_heard_in, progress)
            report.findings += _doubtful_recordings(language, wanted, options.recordings)
            reports.append(report)
    return reports


def _doubtful_recordings(language: str, wanted: list[WantedPiece], recordings: Path | None) -> list[str]:
    """Return one sentence for each recording that would speak two different texts of flows."""
    first: dict[Path, WantedPiece] = {}
    findings = []
    for each in wanted:
        path = recorded.find(recordings, language, each.recorded_as)
        if path is None:
            continue
        other = first.setdefault(path, each)
        if other.text != each.text:
            findings.append(
                f"language {language}: {path} would be heard for two texts ({other.origin}; {each.origin}); "
                "give one of the prompts another name"
            )
    return findings


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Make a directory and keep other builds out of it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OperatorError(
            f"{directory} cannot be made ({error.strerror}); name another directory (--out)"
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise OperatorError(f"{directory}: another build is running there; wait for it") from None
    finally:
        os.close(descriptor)
