"""How a capture ends by what the gateway answered, what had been asked for, and whether it was stopped meanwhile."""

from __future__ import annotations

from typing import Final

from dtmf_shield.cde.gateways.base import GatewayResult, GatewayResultKind
from dtmf_shield.model.capture import CaptureResult

GOOD: Final = frozenset({CaptureResult.TOKEN, CaptureResult.APPROVED})
"""Ends that hand a token out."""
_RESULTS: Final = {
    GatewayResultKind.DECLINED: CaptureResult.DECLINED,
    GatewayResultKind.ACTION_REQUIRED: CaptureResult.ACTION_REQUIRED,
    GatewayResultKind.REFUSED: CaptureResult.REFUSED,
    GatewayResultKind.BUSY: CaptureResult.GATEWAY_UNREACHABLE,
    GatewayResultKind.FAILED_BEFORE_SEND: CaptureResult.GATEWAY_UNREACHABLE,
    GatewayResultKind.NOT_FOUND: CaptureResult.UNKNOWN,
    GatewayResultKind.UNKNOWN: CaptureResult.UNKNOWN,
}


def result_of(answer: GatewayResult, stopped: CaptureResult | None, *, moves_money: bool) -> CaptureResult:
    """Return the end of a capture. The truth about money wins over ``stopped``, the result of a stop that came."""
    if answer.kind is GatewayResultKind.APPROVED:
        if answer.voided:
            return stopped or CaptureResult.CANCELLED
        return CaptureResult.APPROVED if moves_money else stopped or CaptureResult.TOKEN
    result = _RESULTS[answer.kind]
    if moves_money and result is CaptureResult.UNKNOWN:
        return result
    return stopped or result
