"""One operation brought to one gateway: sent, and sent again with the same bytes where retry.py allows it.

It writes no ledger: an intent must be on disk before. The request is built once, so that every send is the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.gateways.base import (
    Answer,
    Connector,
    Exchange,
    GatewayResult,
    GatewayResultKind,
    Order,
    OrderImpossibleError,
    Request,
    Unanswered,
)
from dtmf_shield.cde.retry import (
    SENDS_MAX,
    Ending,
    Verdict,
    decide,
    doubt_after,
    ending_of,
    key_is_known,
    wait_s,
)

_NOTHING_DONE = {
    Ending.BUSY: GatewayResultKind.BUSY,
    Ending.NOTHING_LEFT: GatewayResultKind.FAILED_BEFORE_SEND,
}
STOPPED: Final = GatewayResult(GatewayResultKind.FAILED_BEFORE_SEND, code="stopped")
"""Nothing was done, and nobody wants it done any more."""

_log = get_logger("payments")


@dataclass(frozen=True, slots=True)
class Gateway:
    """One configured gateway: its language and the way to it."""

    connector: Connector
    exchange: Exchange

    @property
    def name(self) -> str:
        """Name in the configuration and the ledger."""
        return self.connector.name


@dataclass(frozen=True, slots=True)
class Limits:
    """Until when sends may begin (on the clock of ``now_s``), and what is known of earlier sends.

    ``key_age_s``: since the key's first send. ``in_doubt``: an earlier send may have arrived.
    """

    sends_until_s: float
    key_age_s: float = 0.0
    in_doubt: bool = False
    sends_max: int = SENDS_MAX


class Delivery:
    """Sends operations. ``pause`` waits so many seconds; tests give their own."""

    def __init__(self, clock: Clock, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock, self._pause = clock, pause

    async def deliver(
        self,
        gateway: Gateway,
        order: Order,
        limits: Limits,
        before_again: Callable[[], bool] = lambda: True,
        wanted: Callable[[], bool] = lambda: True,
    ) -> GatewayResult:
        """Send until the answer stands or nothing more may be sent. Never raises for what a peer or network does.

        ``before_again`` is called before each further send; where it says False nothing more is sent. ``wanted``:
        whether somebody still wants it done. What is in doubt is sent again all the same: only its answer says what
        there is to take back.
        """
        try:
            request = gateway.connector.request(order)
        except OrderImpossibleError as error:
            # In doubt, it was sent once, when the gateway was configured otherwise.
            kind = GatewayResultKind.UNKNOWN if limits.in_doubt else GatewayResultKind.REFUSED
            return GatewayResult(kind, code=error.code)
        begun_s, in_doubt, sends = self._clock.now_s(), limits.in_doubt, 0
        while True:
            answer, result = await self._send(gateway, request, order)
            sends += 1
            ending = ending_of(answer, result)
            pause_s = wait_s(sends, retry_after_s=result.retry_after_s, jitter=random.random())  # noqa: S311 - jitter
            now_s = self._clock.now_s()
            verdict = decide(
                ending,
                gateway.connector.capabilities.idempotency,
                in_doubt=in_doubt,
                sends_left=limits.sends_max - sends,
                time_left_s=limits.sends_until_s - now_s - pause_s,
                key_is_known=self._key_is_known(gateway, limits.key_age_s + now_s - begun_s + pause_s),
            )
            in_doubt = doubt_after(ending, in_doubt=in_doubt)
            if verdict in (Verdict.AGAIN, Verdict.AGAIN_IN_DOUBT):
                await self._pause(pause_s)
                if verdict is Verdict.AGAIN and not wanted():
                    return STOPPED
                if before_again():
                    _log.info(
                        "gateway_asked_again", gateway=gateway.name, key=order.key, after=ending.name.lower()
                    )
                    continue
                verdict = Verdict.UNKNOWN if in_doubt else Verdict.NOTHING_DONE
            return _final(verdict, ending, result)

    async def _send(
        self, gateway: Gateway, request: Request, order: Order
    ) -> tuple[Answer | Unanswered, GatewayResult]:
        answer = await gateway.exchange.exchange(request, order.card)
        if isinstance(answer, Unanswered):
            return answer, GatewayResult(GatewayResultKind.UNKNOWN, code=answer.reason)
        result = gateway.connector.result(order, answer)
        return answer, replace(result, retry_after_s=max(result.retry_after_s, answer.retry_after_s))

    @staticmethod
    def _key_is_known(gateway: Gateway, age_s: float) -> bool:
        return key_is_known(age_s, gateway.connector.capabilities.key_ttl_s)


def _final(verdict: Verdict, ending: Ending, result: GatewayResult) -> GatewayResult:
    match verdict:
        case Verdict.SETTLED:
            return result
        case Verdict.NOTHING_DONE:
            return replace(result, kind=_NOTHING_DONE[ending], token="")
        case _:
            # What a later try said (busy, refused) is not how the operation ended.
            return GatewayResult(GatewayResultKind.UNKNOWN, code=result.code, reference=result.reference)
