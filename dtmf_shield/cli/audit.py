"""``dtmf-shield audit``: the audit log, its signed roots, and proofs of single rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rich.markup import escape

from dtmf_shield.audit import verification
from dtmf_shield.audit.roots import ROOTS_FILE
from dtmf_shield.audit.signing import KEY_FILE, load_public_keys, load_signer
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cli.console import EXIT_WRONG_INPUT, err, operator_errors, out

PROOF_BYTES_MAX = 65_536

app = typer.Typer(help="The hash-chained audit log, its signed roots and proofs.", no_args_is_help=True)

LogArgument = Annotated[Path, typer.Argument(help="audit.jsonl of a state directory.")]
RootsOption = Annotated[
    Path | None, typer.Option("--roots", help="Signed roots; without it audit.roots.jsonl beside the log.")
]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--public-key", help="PEM kept elsewhere; without it the key beside the log, which proves less."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="The result as JSON.")]


@app.command(name="verify")
def verify_file(
    file: LogArgument,
    roots: RootsOption = None,
    anchors: Annotated[
        Path | None, typer.Option(help="What the anchor has kept: its file, or the log host's file.")
    ] = None,
    public_key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check chain, roots, signatures, anchors and gaps. Exit code 2 where something is wrong; names the first row."""
    with operator_errors():
        found = _roots_of(file, roots)
        keys, beside = _keys_of(file, public_key) if found else ({}, False)
        report = verification.verify_log(file, roots=found, keys=keys, anchors=anchors)
    if beside:
        report.not_proved.append(verification.KEY_FROM_BESIDE)
    if as_json:
        print(json.dumps({"good": report.good, **asdict(report)}))  # noqa: T201 - the machine's line
    else:
        _print_report(file, report)
    if not report.good:
        raise typer.Exit(EXIT_WRONG_INPUT)


def _print_report(file: Path, report: verification.Verification) -> None:
    if report.good:
        out.print(escape(f"{file}: {report.rows} rows, chain intact"), soft_wrap=True)
        if report.roots:
            out.print(f"{report.roots} signed roots hold rows up to {report.rows_under_roots - 1}")
        if report.anchors:
            out.print(f"{report.anchors} anchors hold rows up to {report.rows_anchored - 1}")
    for sentence in report.findings:
        err.print(f"[red]error:[/red] {escape(sentence)}", soft_wrap=True)
    for sentence in report.not_proved:
        out.print(f"not proved: {escape(sentence)}", soft_wrap=True)


def _roots_of(log: Path, named: Path | None) -> Path | None:
    beside = log.with_name(ROOTS_FILE)
    return named or (beside if beside.exists() else None)


def _keys_of(log: Path, named: Path | None) -> tuple[Mapping[str, Ed25519PublicKey], bool]:
    """Return (public keys, whether they come from beside the log)."""
    if named is not None:
        return load_public_keys(named), False
    beside = log.with_name(KEY_FILE)
    if not beside.exists():
        raise OperatorError(f"{beside} is not here; name the public key with --public-key")
    signer = load_signer(beside)
    return {signer.key_id: signer.public_key}, True


@app.command(name="public-key")
def public_key_of(
    state_directory: Annotated[Path, typer.Argument(help="State directory of the service.")],
) -> None:
    """Print the public key of a service's audit roots, to be kept where the service cannot write."""
    with operator_errors():
        signer = load_signer(state_directory / KEY_FILE)
    print(signer.public_pem(), end="")  # noqa: T201 - goes into a file as it is
    err.print(f"key id {signer.key_id}")


@app.command()
def proof(
    file: LogArgument,
    row: Annotated[int, typer.Argument(min=0, help="Number of the row, its `n`.")],
    roots: RootsOption = None,
) -> None:
    """Print the proof that one row is under a signed root: it shows that row, and no other."""
    with operator_errors():
        found = _roots_of(file, roots)
        if found is None:
            raise OperatorError(f"{file.with_name(ROOTS_FILE)} is not here; name the roots with --roots")
        try:
            result = verification.proof_of(file, found, row)
        except OSError as error:
            raise OperatorError(f"{file} cannot be read ({error.strerror})") from None
    print(json.dumps(result, indent=1))  # noqa: T201 - goes into a file as it is


@app.command(name="check-proof")
def check_proof(
    file: Annotated[Path, typer.Argument(help="What `audit proof` printed.")],
    public_key: Annotated[Path, typer.Option("--public-key", help="PEM, kept elsewhere.")],
    as_json: JsonOption = False,
) -> None:
    """Check a proof against a public key. Exit code 2 where it proves nothing."""
    with operator_errors():
        keys = load_public_keys(public_key)
        try:
            content = json.loads(file.read_bytes()[:PROOF_BYTES_MAX])
        except (OSError, ValueError):
            raise OperatorError(f"{file}: is no proof; make one: dtmf-shield audit proof") from None
    findings = verification.proof_findings(content, keys)
    if as_json:
        print(json.dumps({"good": not findings, "findings": findings}))  # noqa: T201 - the machine's line
    elif not findings:
        root = content["root"]
        out.print(escape(f"row {content['row']['n']} is under root {root['n']}, signed by {root['key']}:"))
        out.print(escape(json.dumps(content["row"], sort_keys=True)), soft_wrap=True)
    for sentence in () if as_json else findings:
        err.print(f"[red]error:[/red] {escape(sentence)}", soft_wrap=True)
    if findings:
        raise typer.Exit(EXIT_WRONG_INPUT)
