"""What happens between a submitted capture and its outcome: which operations are sent, in what order, how often.

It keeps the promise of exactly once: an intent on disk before the first byte, the same key and the same bytes for every
re-send, and re-sends only where the gateway is known to answer a repeated key with its first answer.
"""

from __future__ import annotations

from dtmf_shield.base.log import get_logger
from dtmf_shield.cde.gateways.base import (
    Answer,
    Connector,
    Exchange,
    GatewayResult,
    GatewayResultKind,
    Idempotency,
    Order,
)

_log = get_logger("payments")


class Payments:
    """Payments over one gateway."""

    def __init__(self, connector: Connector, gateway: Exchange) -> None:
        self._connector, self._gateway = connector, gateway

    async def perform(self, order: Order) -> GatewayResult:
        """Do one operation. Never raises for what a peer or the network does."""
        result = await self._once(order)
        if (
            result.kind is GatewayResultKind.UNKNOWN
            and self._connector.capabilities.idempotency is Idempotency.REPLAY
        ):
            # Same key, same bytes, once: the gateway answers with what it did the first time.
            _log.info("gateway_asked_again", gateway=self._connector.name, key=order.key)
            again = await self._once(order)
            result = again if again.kind is not GatewayResultKind.FAILED_BEFORE_SEND else result
        return result

    async def _once(self, order: Order) -> GatewayResult:
        answer = await self._gateway.exchange(self._connector.request(order), order.card)
        if isinstance(answer, Answer):
            return self._connector.result(order, answer)
        kind = GatewayResultKind.UNKNOWN if answer.sent else GatewayResultKind.FAILED_BEFORE_SEND
        return GatewayResult(kind, code=answer.reason)
