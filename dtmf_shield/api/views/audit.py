"""Views of the audit log: rows as written, each with the hash that chains it to the one before."""

from __future__ import annotations

from pydantic import Field

from dtmf_shield.api.views.words import Cursor, Digest, Prose, View, WholeSecond, Word


class AuditRowView(View):
    """One row. ``texts`` and ``numbers`` are its facts by name; ``number`` is its place in the chain, from 0."""

    number: int
    at: WholeSecond
    event: Word
    texts: dict[Word, Prose] = Field(max_length=32)
    numbers: dict[Word, int] = Field(max_length=32)
    hash: Digest


class AuditPage(View):
    """Newest first. ``intact``: each row of this page carries the hash that it and the row before it make.

    The whole log with its signed roots and anchors is proved by ``dtmf-shield audit verify``.
    """

    rows: tuple[AuditRowView, ...]
    intact: bool
    next_cursor: Cursor | None = None
    """Where the next page begins; null on the last. A page of a filter may be short, even empty, and have one."""
