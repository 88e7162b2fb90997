"""Look-ups of running flows at the hooks that the configuration names; the answer is texts by name, or none.

A flow sends inputs, variables and fields that are not sensitive: that is checked before a flow runs. The last lock is
here: a text that may be a card number is not sent, and an answer that holds one is not taken. No value is ever logged.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import h11

from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.flow.engine.commands import CallHook
from dtmf_shield.flow.engine.events import HookAnswered, HookOutcome
from dtmf_shield.flow.engine.interpreter import HOOK_TEXT_MAX, HOOK_VALUES_MAX
from dtmf_shield.flow.inputs import is_telephone_number, may_be_card
from dtmf_shield.flow.language.words import NAME_PATTERN
from dtmf_shield.model.ids import CallId
from dtmf_shield.service.control.json_post import JSON, Answer, AnswerTooLongError, Server, post

LOOK_UPS_MAX: Final = 64
"""At once, over all calls; one more is an error at once, so that a slow hook costs no other call its time."""
Answered = Callable[[CallId, int, HookAnswered], None]

_ERROR: Final = HookAnswered(HookOutcome.ERROR)
_log = get_logger("hooks")


class UnfitAnswerError(Exception):
    """The answer is not what it must be; the text says why, from a closed set."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook. ``timeout_s``: no look-up takes longer."""

    server: Server
    timeout_s: float


class ControlHooks:
    """Implements ``call.ports.HookPort`` over HTTP. ``answered`` is called on the event loop, once for each ask."""

    def __init__(self, hooks: Mapping[str, Hook], clock: Clock, answered: Answered) -> None:
        self._hooks, self._clock, self._answered = hooks, clock, answered
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, call_id: CallId, mark: int, request: CallHook) -> None:
        """Look up and answer later; never within this call."""
        full = len(self._running) >= LOOK_UPS_MAX
        task = asyncio.get_running_loop().create_task(self._serve(call_id, mark, request, full=full))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Give up what is on its way; nobody is answered."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _serve(self, call_id: CallId, mark: int, request: CallHook, *, full: bool) -> None:
        began_s = self._clock.now_s()
        answered, reason = (_ERROR, "too_many") if full else await self._look_up(request)
        ms = round(1_000 * (self._clock.now_s() - began_s))
        _log.info(
            "hook_asked",
            call_id=call_id,
            hook=request.hook,
            outcome=answered.outcome.value,
            reason=reason,
            ms=ms,
        )
        self._answered(call_id, mark, answered)

    async def _look_up(self, request: CallHook) -> tuple[HookAnswered, str]:
        hook = self._hooks.get(request.hook)
        if hook is None:
            return _ERROR, "unknown_hook"  # checks have seen to it before the flow began
        if any(not _may_be_sent(text) for _, text in request.send):
            return _ERROR, "may_be_card"
        body = json.dumps(dict(request.send), ensure_ascii=False).encode()
        try:
            async with asyncio.timeout(min(hook.timeout_s, request.timeout_ms / 1_000)):
                answer = await post(hook.server, body)
            return _answered(answer), ""
        except TimeoutError:
            return _ERROR, "no_answer_in_time"
        except AnswerTooLongError:
            return _ERROR, "too_long"
        except UnfitAnswerError as error:
            return _ERROR, str(error)
        except h11.ProtocolError:
            return _ERROR, "no_http"
        except OSError as error:
            # Of TLS and of names too: their texts name files and hosts, not values.
            return _ERROR, type(error).__name__


def _may_be_sent(text: str) -> bool:
    return is_telephone_number(text) or not may_be_card(text)


def _answered(answer: Answer) -> HookAnswered:
    """Return what an answer says. Raises UnfitAnswerError."""
    if answer.status == 404:
        return HookAnswered(HookOutcome.NOT_FOUND)
    if answer.status != 200:
        raise UnfitAnswerError(f"status_{answer.status}")
    if answer.content_type != JSON:
        raise UnfitAnswerError("not_json")
    return HookAnswered(HookOutcome.OK, tuple(_values(answer.body).items()))


def _values(body: bytes) -> dict[str, str]:
    try:
        # Numbers stay as they are written: 42.50 is money, and 0.1 + 0.2 is nobody's balance.
        found = json.loads(body, parse_int=str, parse_float=str, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise UnfitAnswerError("not_json") from None
    if not isinstance(found, dict):
        raise UnfitAnswerError("not_an_object")
    if len(found) > HOOK_VALUES_MAX:
        raise UnfitAnswerError("too_many_values")
    return {_name(name): _text(value) for name, value in found.items()}


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise UnfitAnswerError("name_twice")
    return values


def _name(name: str) -> str:
    if re.fullmatch(NAME_PATTERN, name) is None or may_be_card(name):
        raise UnfitAnswerError("unfit_name")  # no reference of a flow could name it
    return name


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):  # null, NaN, a list, an object
        raise UnfitAnswerError("not_flat")
    if len(value) > HOOK_TEXT_MAX:
        raise UnfitAnswerError("value_too_long")
    if may_be_card(value):
        raise UnfitAnswerError("may_be_card")
    return value
