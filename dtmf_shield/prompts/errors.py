"""What can be wrong with prompts. Texts name languages, pieces, engines and limits, never a value that is spoken."""

from __future__ import annotations

from dtmf_shield.base.errors import OperatorError


class PromptError(OperatorError):
    """Something about prompts that an operator can mend."""


class UnspeakableValueError(PromptError):
    """A value outside what the grammars speak: too large, negative, or not of its kind."""


class UnknownLanguageError(PromptError):
    """A language for which there is no number grammar, no text or no recorded piece."""


class MissingPieceError(PromptError):
    """A piece that the language's index does not have: prompts were not built since the flow was changed."""

    def __init__(self, language: str, piece: str, text: str = "") -> None:
        self.language, self.piece = language, piece
        said = f" ({text!r})" if text else ""
        super().__init__(
            f"language {language}: the piece {piece}{said} is not built; run: dtmf-shield prompts build"
        )


class StoreError(PromptError):
    """A store of prompts that cannot be read or written."""


class EngineError(PromptError):
    """A speech engine that failed."""


class MissingEngineError(EngineError):
    """No installed engine speaks a language."""
