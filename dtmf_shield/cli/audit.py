"""``dtmf-shield audit``: the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dtmf_shield.audit.chain import verify
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.cli.console import operator_errors, out

app = typer.Typer(help="The hash-chained audit log.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Keep the verb a verb even while there is only one."""


@app.command(name="verify")
def verify_file(file: Annotated[Path, typer.Argument(help="audit.jsonl of a state directory.")]) -> None:
    """Check the chain of an audit log. Exit code 2 at the first row that does not fit."""
    with operator_errors():
        try:
            count = sum(1 for _ in verify(file))
        except OSError as error:
            raise OperatorError(
                f"{file} cannot be read ({error.strerror}); name an audit.jsonl of a state directory"
            ) from None
    out.print(f"{file}: {count} rows, chain intact")
