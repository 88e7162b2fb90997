"""Names of pieces: literal text by its content, recordings by their file. White, no I/O."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from dtmf_shield.prompts.grammar.parts import PieceName

_HASH_CHARACTERS: Final = 20
"""80 bits: two texts of one language never meet."""


def normal_text(text: str) -> str:
    """Return ``text`` with every run of white space as one space and no punctuation before the first word.

    How a text is broken over lines makes no difference, nor does a comma that belonged to a value before it.
    """
    return " ".join(text.split()).lstrip(".,;:!? ")


def literal_name(text: str) -> PieceName:
    """Return the piece that holds a literal text: the same text is the same piece in every flow."""
    digest = hashlib.sha256(normal_text(text).encode("utf-8")).hexdigest()
    return PieceName(f"t-{digest[:_HASH_CHARACTERS]}")


def recording_name(file: str, text: str = "") -> PieceName:
    """Return the piece that holds a recorded file, such as ``hold.wav``; folders and the suffix do not count.

    Where a text is given for it, the text is part of the name: two flows may mean different words by one file name.
    """
    stem = recording_stem(file)
    return PieceName(f"r-{stem}-{literal_name(text)[2:]}" if normal_text(text) else f"r-{stem}")


def recording_stem(file: str) -> str:
    """Return a file's name without folders and suffix."""
    return re.sub(r"\.(wav|ul|al)$", "", file.rpartition("/")[2])
