"""Requests of the shipped templates as text; ``python -m tests.unit.cde.gateways.golden_requests`` rewrites them.

The card is a published test card, the values are those of ``orders.py``.
"""

from __future__ import annotations

from pathlib import Path

from dtmf_shield.cde.gateways.template_file import find_template, shipped_templates
from tests.unit.cde.gateways.orders import body_of, operations_of, order_for, usual_connector

GOLDEN = Path(__file__).parents[3] / "golden" / "gateways"
NAMES = [path.stem for path in shipped_templates()]


def written(name: str) -> str:
    """Return the requests of one template."""
    speaker, blocks = usual_connector(name), []
    for operation, about in operations_of(find_template(name)):
        order = order_for(operation, about)
        request = speaker.request(order)
        title = f"{operation.kind} with {operation.source}" + (f", of {about}" if about else "")
        lines = [f"## {title}", f"{request.method} {request.path}"]
        lines += [f"{header}: {value}" for header, value in request.headers]
        lines += ["", body_of(speaker, order).decode("ascii")] if request.body else []
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in NAMES:
        (GOLDEN / f"{each}.txt").write_text(written(each), encoding="ascii")
