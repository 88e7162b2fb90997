"""The one tree of errors.

::

    DtmfShieldError
    ├── LocalError           our bug
    │   └── InvariantError   a table or a promise was broken: end that call, keep masking
    ├── PeerError            theirs; carries the SIP status that answers it
    └── OperatorError        configuration, files, ports: names what was found and what to do
        └── ConfigurationError

No error text holds a digit of account data: texts are made of names, positions and counts.
"""

from __future__ import annotations


class DtmfShieldError(Exception):
    """Root of every error this project raises on purpose."""


class LocalError(DtmfShieldError):
    """Our own mistake."""


class InvariantError(LocalError):
    """A broken invariant. The call it belongs to ends; others go on; masking stays on."""


class PeerError(DtmfShieldError):
    """The other side's mistake. ``status`` is the SIP status code that answers it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class OperatorError(DtmfShieldError):
    """Something an operator can mend. The message is a whole sentence that says how."""


class ConfigurationError(OperatorError):
    """One finding in a configuration file: file, line, key, what was found, what is allowed, what may be meant."""

    def __init__(
        self,
        *,
        file: str,
        line: int,
        key: str,
        found: str,
        allowed: str,
        column: int = 0,
        suggestion: str = "",
    ) -> None:
        self.file, self.line, self.column, self.key = file, line, column, key
        self.found, self.allowed, self.suggestion = found, allowed, suggestion
        place = f"{file}:{line}:{column}" if column else f"{file}:{line}"
        hint = f"; did you mean {suggestion}?" if suggestion else ""
        super().__init__(f"{place}: {key}: found {found}; allowed: {allowed}{hint}")
