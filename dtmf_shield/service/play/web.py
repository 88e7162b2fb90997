"""The play phones' own HTTP: keys and choices from the page's script, and what both sides heard. No page, no log.

It answers to the bearer key that a signed-in page was given, over CORS for the origins of that page alone. Answers are
``{"problem": WORD}`` with 4xx where something cannot be done; the page has words for each.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dtmf_shield.api.gate import Gate
from dtmf_shield.base.errors import PeerError
from dtmf_shield.model.capture import FieldKind
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.test_cards import CardNotPublishedError
from dtmf_shield.service.play.booth import CALL_S_MAX, Booth, CallUpError, Choices, NoCallError
from dtmf_shield.service.play.caller import Fingers, KeysWaitError, Line
from dtmf_shield.service.play.cards import PARTS, offered_cards
from dtmf_shield.service.play.gateway_switch import GatewayMode, GatewaySwitch
from dtmf_shield.service.play.settings import PlaySettings
from dtmf_shield.service.play.shelf import evidence_as_json

PREFLIGHT_KEPT_S: Final = 600
_BEARER: Final = b"Bearer "


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    number: str


class _Press(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    field: FieldKind | None = None


class _Card(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    part: str


class _Choices(msgspec.Struct, forbid_unknown_fields=True):
    door: Door
    fingers: Fingers
    line: Line


class _Gateway(msgspec.Struct, forbid_unknown_fields=True):
    mode: GatewayMode


class PlayWeb:
    """The routes over one booth."""

    def __init__(self, settings: PlaySettings, booth: Booth, switch: GatewaySwitch) -> None:
        self._settings, self._booth, self._switch = settings, booth, switch
        self._authorization = _BEARER + settings.key.encode()
        self._gateway = GatewayMode.UP

    def app(self) -> Starlette:
        """Return the application."""
        posts: dict[str, Callable[[Request], Any]] = {
            "/call": self._call,
            "/hangup": self._hang_up,
            "/press": self._press,
            "/card": self._card,
            "/choose": self._choose,
            "/gateway": self._set_gateway,
        }
        routes = [Route(path, self._guarded(act), methods=["POST"]) for path, act in posts.items()]
        routes.append(Route("/state", self._guarded(self._nothing), methods=["GET"]))
        told: dict[str, Callable[[Request], Response]] = {
            "/test-calls": self._test_calls,
            "/test-calls/{id}/evidence": self._evidence,
            "/test-calls/{id}/{side}.png": self._picture,
        }
        routes += [Route(path, self._opened(tell), methods=["GET"]) for path, tell in told.items()]
        cors = Middleware(
            CORSMiddleware,
            allow_origins=self._settings.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
            max_age=PREFLIGHT_KEPT_S,
        )
        return Starlette(routes=routes, middleware=[Middleware(Gate), cors])

    def _has_key(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode("latin-1", "replace")
        return hmac.compare_digest(given, self._authorization)

    def _opened(self, tell: Callable[[Request], Response]) -> Callable[[Request], Any]:
        """Ask for the key, and tell."""

        async def answered(request: Request) -> Response:
            return tell(request) if self._has_key(request) else _problem(401, "not_signed_in")

        return answered

    def _guarded(self, act: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """Ask for the key, act, and answer with the state, or with the word for what cannot be done."""

        async def answered(request: Request) -> JSONResponse:
            if not self._has_key(request):
                return _problem(401, "not_signed_in")
            try:
                await act(request)
            except (CallUpError, NoCallError, KeysWaitError, CardNotPublishedError) as error:
                return _problem(409, _WORDS[type(error)])
            except (ValueError, msgspec.MsgspecError):
                # Not its text: it may quote what was sent.
                return _problem(400, "not_understood")
            except PeerError:
                return _problem(502, "gateway_silent")
            return JSONResponse(self._state())

        return answered

    def _state(self) -> dict[str, Any]:
        booth = self._booth
        return {
            "phase": booth.phase,
            "end": booth.end,
            "status": booth.status,
            "minutes_max": int(CALL_S_MAX // 60),
            "has_agent": booth.has_agent,
            "choices": asdict(booth.choices),
            "gateway": self._gateway,
            "waiting": booth.waiting,
            "heard": asdict(booth.heard),
            "dialled": [msgspec.to_builtins(one) for one in self._settings.dialled],
            "test_call": booth.shelf.latest,
            "cards": [asdict(card) for card in offered_cards(date.today())],
        }

    # For the service, which shows it to engineers

    def _test_calls(self, _request: Request) -> Response:
        return JSONResponse({"calls": self._booth.shelf.rows()})

    def _evidence(self, request: Request) -> Response:
        call = self._booth.shelf.find(request.path_params["id"])
        if call is None:
            return _problem(404, "no_test_call")
        if call.evidence is None:
            return _problem(409, call.state)
        return JSONResponse(evidence_as_json(call, call.evidence))

    def _picture(self, request: Request) -> Response:
        call = self._booth.shelf.find(request.path_params["id"])
        evidence = call.evidence if call is not None else None
        sides = {"caller": evidence.caller, "agent": evidence.agent} if evidence is not None else {}
        side = sides.get(request.path_params["side"])
        if side is None:
            return _problem(404, "no_test_call")
        return Response(side.picture, media_type="image/png")

    # For the page

    async def _nothing(self, _request: Request) -> None:
        """Only the state is asked for."""

    async def _call(self, request: Request) -> None:
        asked = msgspec.json.decode(await request.body(), type=_Call)
        if asked.number not in {one.number for one in self._settings.dialled}:
            raise ValueError
        self._booth.call(asked.number)

    async def _hang_up(self, _request: Request) -> None:
        await self._booth.hang_up()

    async def _press(self, request: Request) -> None:
        asked = msgspec.json.decode(await request.body(), type=_Press)
        if len(asked.key) != 1:
            raise ValueError
        self._booth.press(asked.key, asked.field)

    async def _card(self, request: Request) -> None:
        asked = msgspec.json.decode(await request.body(), type=_Card)
        card = next((card for card in offered_cards(date.today()) if card.name == asked.name), None)
        if card is None or asked.part not in PARTS:
            raise ValueError
        self._booth.press_all(card.keys_of(asked.part), PARTS[asked.part])

    async def _choose(self, request: Request) -> None:
        asked = msgspec.json.decode(await request.body(), type=_Choices)
        self._booth.choose(Choices(asked.door, asked.fingers, asked.line))

    async def _set_gateway(self, request: Request) -> None:
        asked = msgspec.json.decode(await request.body(), type=_Gateway)
        await asyncio.to_thread(self._switch.set, asked.mode)
        self._gateway = asked.mode


_WORDS: Final[dict[type[Exception], str]] = {
    CallUpError: "call_up",
    NoCallError: "no_call",
    KeysWaitError: "keys_wait",
    CardNotPublishedError: "card_not_published",
}


def _problem(status: int, word: str) -> JSONResponse:
    return JSONResponse({"problem": word}, status_code=status)
