"""Handing a caller to an agent or a queue. A call that has its agent keeps that agent; nobody else can be called."""

from __future__ import annotations

from dtmf_shield.call.call import Call
from dtmf_shield.call.context import Context


def hand_over(ctx: Context, now_s: float, call: Call, to: str, target: str) -> None:
    """Hand the call to ``target``, an agent's or queue's name; empty with ``to`` "agent": the agent it has.

    How it ends is told by ``Context.handed_over``, never before this returns.
    """
    del now_s
    there = to == "agent" and not call.alone and target in ("", call.target.name)
    ctx.handed_over.append((call.call_id, there))
