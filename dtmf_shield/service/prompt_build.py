"""``prompts build``: what flows and the default set want, built and listened to by our own detector.

A prompt in which the detector hears a key would be masked or, worse, counted, where a caller's phone sends it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.prompts.build import BuildOptions, LanguageReport, Progress, build_language
from dtmf_shield.prompts.sound.shaping import NARROW_HZ, WIDE_HZ
from dtmf_shield.prompts.store import StoredForm
from dtmf_shield.prompts.store_writer import Packets, decoded
from dtmf_shield.prompts.wanted import DEFAULT_LANGUAGES, flow_pieces, standard_pieces
from dtmf_shield.service.file_analysis import keys_heard
from dtmf_shield.service.prompt_check import FlowPrompts


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
    _make_directory(options.directory)
    reports = []
    for language in chosen:
        wanted = [each for flow in known for each in flow_pieces(flow.flow, flow.prompts, language)]
        # Flows come first: their names are the ones a supervisor records under.
        wanted += standard_pieces(language)
        reports.append(build_language(language, wanted, options, keys_heard_in, progress))
    return reports


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"{directory} cannot be made ({error.strerror}); name another directory (--out)"
        ) from None
