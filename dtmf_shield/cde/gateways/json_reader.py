"""Reads a few named places of a gateway's JSON answer; all else is skipped by the decoder and becomes no object.

A path is names joined by dots; a number names a place in an array: ``errors.0.code``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

Path = tuple[str, ...]
Scalar = str | int | bool

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Node:
    """One level of the paths: the names asked for, and the type msgspec decodes it into."""

    def __init__(self) -> None:
        self.within: dict[str, _Node] = {}

    def add(self, path: Path) -> None:
        """Ask for ``path`` below this level. All elements of an array have one level."""
        node = self
        for name in path:
            element = next(iter(node.within.values()), None) if name.isdigit() and node.is_array else None
            node = node.within.setdefault(name, element or _Node())

    @property
    def is_array(self) -> bool:
        """Whether it is asked by number alone."""
        return bool(self.within) and all(name.isdigit() for name in self.within)

    def decoded_type(self) -> Any:
        """Return the type that holds what is asked for and nothing else."""
        if not self.within:
            return Any
        if self.is_array:
            # A type made at run time, for msgspec: no type checker can read it.
            return list[next(iter(self.within.values())).decoded_type()] | None  # type: ignore[misc]
        fields = [(f"f{index}", node.decoded_type(), None) for index, node in enumerate(self.within.values())]
        names = {f"f{index}": name for index, name in enumerate(self.within)}
        return msgspec.defstruct("Level", fields, rename=names) | None


class JsonReader:
    """Reads answers with one set of paths."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._root = _Node()
        for path in paths:
            self._root.add(path)
        self._decoder = msgspec.json.Decoder(self._root.decoded_type())

    def read(self, body: bytes) -> dict[Path, Any] | None:
        """Return what stands at each path and above it, null left out. None: no JSON, or of another shape."""
        try:
            decoded = self._decoder.decode(body)
        except _UNREADABLE:
            return None
        found: dict[Path, Any] = {}
        _collect(self._root, decoded, (), found)
        return found


def _collect(node: _Node, decoded: Any, path: Path, found: dict[Path, Any]) -> None:
    if decoded is None:
        return
    found[path] = decoded if not node.within else True  # of a level it is enough to know that it is there
    for index, (name, inner) in enumerate(node.within.items()):
        if node.is_array:
            value = decoded[int(name)] if int(name) < len(decoded) else None
        else:
            value = getattr(decoded, f"f{index}")
        _collect(inner, value, (*path, name), found)
