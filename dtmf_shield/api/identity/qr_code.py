"""A QR code as rows of cells: pages draw them; neither markup nor a picture comes from outside."""

from __future__ import annotations

from typing import Final

import segno

DARK: Final = "#"
LIGHT: Final = "."


def qr_rows(text: str) -> tuple[str, ...]:
    """Return the cells of a QR code (ISO/IEC 18004) that holds ``text``, without its quiet zone."""
    code = segno.make_qr(text, error="m")
    return tuple("".join(DARK if cell else LIGHT for cell in row) for row in code.matrix)
