"""Keys that came while no field was open: they wait in the slot, in order, and serve the next field."""

from __future__ import annotations


class TypeAhead:
    """A queue of key codes in ``cells``, one a byte. What is taken or flushed is zeroed at once."""

    __slots__ = ("_cells", "_end", "_start")

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells
        self._start = self._end = 0

    def __len__(self) -> int:
        return self._end - self._start

    @property
    def full(self) -> bool:
        """Whether no further key finds room."""
        return self._end >= len(self._cells)

    @property
    def first(self) -> int:
        """Code of the key that is next; 0 where none waits."""
        return self._cells[self._start] if len(self) else 0

    def put(self, code: int) -> None:
        """Append a key; dropped where full."""
        if not self.full:
            self._cells[self._end] = code
            self._end += 1

    def take(self) -> int:
        """Remove the next key and return its code; 0 where none waits."""
        code = self.first
        if code:
            self._cells[self._start] = 0
            self._start += 1
        return code

    def close_up(self) -> None:
        """Move what still waits to the front, so that later keys find room."""
        kept = len(self)
        for index in range(kept):
            self._cells[index] = self._cells[self._start + index]
        for index in range(kept, self._end):
            self._cells[index] = 0
        self._start, self._end = 0, kept

    def flush(self) -> None:
        """Drop and zero all."""
        for index in range(len(self._cells)):
            self._cells[index] = 0
        self._start = self._end = 0

    def __repr__(self) -> str:
        return f"<TypeAhead: {len(self)} keys>"
