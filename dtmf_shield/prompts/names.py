"""Names of pieces: literal text by its content, recordings by their file. White, no I/O."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from dtmf_shield.prompts.grammar.parts import PieceName

_HASH_CHARACTERS: Final = 20
"""80 bits: two texts of one language never meet."""


def normal_text(text: str) -> str:
    """Return ``text`` with every run of white space as one space: how it is broken over lines makes no difference."""
    return " ".join(text.split())


def literal_name(text: str) -> PieceName:
    """Return the piece that holds a literal text: the same text is the same piece in every flow."""
    digest = hashlib.sha256(normal_text(text).encode("utf-8")).hexdigest()
    return PieceName(f"t-{digest[:_HASH_CHARACTERS]}")


def recording_name(file: str) -> PieceName:
    """Return the piece that holds a recorded file, such as ``hold.wav``; folders and the suffix do not count."""
    return PieceName(f"r-{recording_stem(file)}")


def recording_stem(file: str) -> str:
    """Return a file's name without folders and suffix."""
    return re.sub(r"\.(wav|ul|al)$", "", file.rpartition("/")[2])
