"""The real cde process with points at which it asks to be killed: ``python -m bench.crash_cde``, for crash_payments.

A sealed process cannot kill itself: it writes a byte to the bench and stands still until SIGKILL comes. The points:
before and after an intent, before a request, half a body, a whole body, an answer, before and after an outcome. With
BREAK=new_key every send has a key of its own, which shows that the bench sees double charges.
"""

from __future__ import annotations

import functools
import os
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dtmf_shield.cde import reconcile
from dtmf_shield.cde.delivery import Delivery
from dtmf_shield.cde.gateways.connection import Connection
from dtmf_shield.cde.gateways.sender import GatewaySender
from dtmf_shield.cde.ledger import Ledger
from dtmf_shield.service import cde_process

VARIABLES = SEED, PROBABILITY, DESCRIPTOR, BREAK = (
    "CRASH_SEED",
    "CRASH_PROBABILITY",
    "CRASH_FD",
    "CRASH_BREAK",
)


SPARE_WAIT_S = 3_600.0
NOT_FOUND_BELIEVED_S = 60.0
"""Instead of ten minutes: nothing arrives later than 9 s at this gateway, and nobody wants to wait for the rest."""


class KillPoints:
    """Draws at each point whether this is the end."""

    def __init__(self, seed: str, probability: float, descriptor: int) -> None:
        self._random, self._probability, self._descriptor = random.Random(seed), probability, descriptor

    def drawn(self) -> bool:
        return self._random.random() < self._probability

    def pass_by(self) -> None:
        if self.drawn():
            self.die()

    def die(self) -> None:
        os.write(self._descriptor, b"k")
        while True:
            time.sleep(1)  # until the bench kills us: nothing after this point may happen

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def with_points(*arguments: Any, **named: Any) -> Any:
            self.pass_by()
            result = method(*arguments, **named)
            self.pass_by()
            return result

        return with_points

    def around_exchange(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        async def with_points(*arguments: Any) -> Any:
            self.pass_by()
            result = await method(*arguments)
            self.pass_by()
            return result

        return with_points

    def around_send(self, method: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(method)
        def with_points(connection: Connection, *views: bytes | memoryview) -> None:
            if self.drawn():
                *whole, last = views
                method(connection, *whole, memoryview(last)[: len(last) // 2])
                self.die()
            method(connection, *views)
            self.pass_by()

        return with_points


def install(points: KillPoints) -> None:
    """Set the points, before the process is sealed."""
    for name in ("intend", "settle"):
        setattr(Ledger, name, points.around(getattr(Ledger, name)))
    GatewaySender.exchange = points.around_exchange(GatewaySender.exchange)
    Connection.send = points.around_send(Connection.send)


def break_keys() -> None:
    """Send everything under a key of its own: what must never be done."""
    send = Delivery._send

    async def with_new_key(self: Delivery, gateway: Any, _request: Any, order: Any) -> Any:
        other = replace(order, key=str(uuid.uuid4()))
        return await send(self, gateway, gateway.connector.request(other), other)

    Delivery._send = with_new_key


def main() -> int:
    points = KillPoints(os.environ[SEED], float(os.environ[PROBABILITY]), int(os.environ[DESCRIPTOR]))
    install(points)
    # A spare waits until it is needed; the real one is configured right after it was started.
    reconcile.NOT_FOUND_BELIEVED_S = NOT_FOUND_BELIEVED_S
    cde_process.CONFIGURE_TIMEOUT_S = SPARE_WAIT_S
    if os.environ.get(BREAK) == "new_key":
        break_keys()
    return cde_process.main()


if __name__ == "__main__":
    raise SystemExit(main())
