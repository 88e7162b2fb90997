"""How commands speak: results to standard output, errors to standard error, exit codes that are documented.

0 done, 1 the answer is no (a finding, a leak), 2 the command or its input is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape

from dtmf_shield.base.errors import OperatorError

EXIT_NO: Final = 1
EXIT_WRONG_INPUT: Final = 2

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def _print_errors(error: BaseException) -> None:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            _print_errors(each)
    else:
        err.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)


@contextmanager
def operator_errors() -> Iterator[None]:
    """Print what an operator can mend as sentences, and leave with EXIT_WRONG_INPUT."""
    try:
        yield
    except OperatorError as error:
        _print_errors(error)
        raise typer.Exit(EXIT_WRONG_INPUT) from None
    except ExceptionGroup as group:
        mine, others = group.split(OperatorError)
        if others is not None:
            raise
        if mine is not None:
            _print_errors(mine)
        raise typer.Exit(EXIT_WRONG_INPUT) from None
