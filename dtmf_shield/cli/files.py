"""``dtmf-shield detect`` and ``dtmf-shield mask``: the live kernels over files. Forms are stable."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import Annotated

import typer

from dtmf_shield.cli.console import operator_errors, out
from dtmf_shield.model.stream import MaskStyle


class Mode(enum.StrEnum):
    """Shield mode for a file."""

    CAPTURE = "capture"
    GUARD = "guard"


def detect(
    files: Annotated[list[Path], typer.Argument(help="WAV (PCM16, µ-law, A-law) or headerless .ul/.al.")],
    reveal: Annotated[bool, typer.Option(help="Show which keys; without it each is a bullet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file, one a line.")] = False,
) -> None:
    """Run the live detector over files in 20 ms packets."""
    from dtmf_shield.service import file_analysis  # kernels load here, not in the supervisor of `serve`

    with operator_errors():
        for path in files:
            result = file_analysis.detect_file(path, reveal=reveal)
            if as_json:
                print(json.dumps(result))  # noqa: T201 - the machine's line
                continue
            out.print(f"{path}: {len(result['digits'])} keys, {result['sample_rate_hz']} Hz")
            for key in result["digits"]:
                out.print(
                    f"  {key['digit']}  {key['start_ms']:9.1f} - {key['end_ms']:9.1f} ms   "
                    f"{key['level_dbm0']:6.1f} dBm0   twist {key['twist_db']:+5.1f} dB"
                )


def mask(
    source: Annotated[Path, typer.Argument(metavar="IN", help="WAV or headerless .ul/.al.")],
    destination: Annotated[Path, typer.Argument(metavar="OUT", help="Written in IN's form.")],
    mode: Annotated[
        Mode, typer.Option(help="capture: lax thresholds; guard: outside captures.")
    ] = Mode.CAPTURE,
    style: Annotated[MaskStyle, typer.Option(help="What is heard in place of a key.")] = MaskStyle.NOISE,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Run the live masker over a file in 20 ms packets, as on a caller leg."""
    from dtmf_shield.service import file_analysis

    with operator_errors():
        result = file_analysis.mask_file(source, destination, mode=mode.value, style=style.value)
    if as_json:
        print(json.dumps(result))  # noqa: T201 - the machine's line
        return
    masked_ms = sum(end - start for start, end in result["masked_ms"])
    out.print(
        f"{destination}: {result['digits_registered']} keys, {masked_ms:.0f} ms masked, "
        f"{result['added_delay_ms']:g} ms later"
    )
