"""Events told to receivers over HTTPS: signed, at least once, in the form of the event stream.

Each receiver has a queue on disk and a task of its own, so that one that is away delays nobody else. An attempt that
fails is repeated later and later, up to ATTEMPTS_MAX; deliveries may overtake each other and come twice: their ``id``
tells what is the same, ``subject`` and ``sequence``, signed with the body, what is older than what a receiver has, and
the signed time what is recorded. Bodies are those of the event stream: no digit by type.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import hmac
import json
import secrets
import sqlite3
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import h11

from dtmf_shield.api.ports.webhooks import WebhookNotFound
from dtmf_shield.api.views import WebhookView
from dtmf_shield.base.clock import Clock
from dtmf_shield.base.log import get_logger
from dtmf_shield.service.control.json_post import AnswerTooLongError, Server, post
from dtmf_shield.store.webhook_queue import Delivery, WebhookQueue

SIGNATURE_HEADER: Final = "DTMF-Shield-Signature"
RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 3_600.0
ATTEMPTS_MAX: Final = 30
"""With pauses that double from RETRY_FIRST_S to RETRY_MAX_S: 19 hours. Then the delivery is given up and counted."""
_CERTIFICATE_WORDS: Final = {
    10: "certificate_expired",
    18: "certificate_authority",
    19: "certificate_authority",
    20: "certificate_authority",
    21: "certificate_authority",
    62: "certificate_name",
    64: "certificate_name",
}
"""By the code of OpenSSL's check (X509_V_ERR, x509_vfy.h): expired, no authority that is known, name, address."""
ERROR_NOTES: Final = {
    "no_answer_in_time": "No answer came in time (timeout_s).",
    "answer_too_long": "The answer is longer than 16 KiB.",
    "no_http": "What answers there speaks no HTTP.",
    "certificate": "The receiver's certificate is not valid: nothing was sent.",
    "certificate_authority": "The receiver's certificate is of an authority that is not known here: nothing was sent. "
    "Name the authority's file in ca_file.",
    "certificate_expired": "The receiver's certificate has expired: nothing was sent.",
    "certificate_name": "The receiver's certificate is for another name than that in url: nothing was sent.",
    "tls": "No TLS connection came about: nothing was sent.",
    "name": "The name in url is not known.",
    "connection": "Nobody listens there, or the connection broke.",
    "redirect": "The receiver answers with a redirect, which is never followed.",
    "refused": "The receiver answered with another status than 2xx.",
}
"""What the word of a failed attempt means, for the list of webhooks."""
_LETTERS: Final = str.maketrans("0123456789", "ghijklmnop")
_log = get_logger("webhooks")


@dataclass(frozen=True, slots=True, repr=False)
class Webhook:
    """One receiver. ``secret`` signs, so there is no repr. ``timeout_s``: no attempt takes longer."""

    name: str
    url: str
    server: Server
    secret: bytes
    events: frozenset[str]
    timeout_s: float


@dataclass(slots=True)
class _Course:
    """How the deliveries of one receiver go, since this process began."""

    failures: int = 0
    paused_until_s: float = 0.0
    last_delivered_s: float | None = None
    last_error: str | None = None
    last_status: int | None = None


def signature(secret: bytes, at_s: int, body: bytes) -> str:
    """Return the header's value: HMAC-SHA-256 (RFC 2104) over the time in seconds, a point, and the body."""
    mac = hmac.digest(secret, b"%d." % at_s + body, "sha256")
    return f"t={at_s},v1={mac.hex()}"


class ControlWebhooks:
    """Implements ``api.ports.WebhookDesk``; takes what the event ring publishes."""

    def __init__(self, webhooks: Mapping[str, Webhook], queue: WebhookQueue, clock: Clock) -> None:
        self._webhooks, self._queue, self._clock = webhooks, queue, clock
        self._courses = {name: _Course() for name in webhooks}
        self._wakers = {name: asyncio.Event() for name in webhooks}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to deliver; what an earlier process has left comes first."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._deliver_all(hook)) for hook in self._webhooks.values()]

    async def close(self) -> None:
        """Stop; what has not arrived waits for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._queue.close()

    # --- what is told --------------------------------------------------------------------------------

    def published(self, kind: str, data: Mapping[str, Any]) -> None:
        """Queue an event for everyone who wants its kind."""
        for hook in self._webhooks.values():
            if kind in hook.events:
                self._put(hook, kind, data)

    def test(self, name: str) -> WebhookView:
        """Queue an event of type ``test``."""
        hook = self._webhooks.get(name)
        if hook is None:
            raise WebhookNotFound
        self._courses[name].paused_until_s = 0.0  # who tests has just mended something
        self._put(hook, "test", {})
        return self._view(hook)

    def webhooks(self) -> Sequence[WebhookView]:
        """Return all of them."""
        return [self._view(hook) for hook in self._webhooks.values()]

    def _put(self, hook: Webhook, kind: str, data: Mapping[str, Any]) -> None:
        now_s = self._clock.wall_s()
        event_id = _event_id(kind, data)
        created = datetime.datetime.fromtimestamp(now_s, datetime.UTC).isoformat(timespec="seconds")
        subject = _subject(kind, data)

        def body_of(number: int) -> bytes:
            event = {"id": event_id, "type": kind, "created": created, "subject": subject, "sequence": number}
            whole = {**event, "data": {"v": 1, **data}}
            return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()

        try:
            self._queue.put(hook.name, event_id, body_of, now_s)
        except sqlite3.Error as error:
            _log.error("webhook_not_queued", webhook=hook.name, error=type(error).__name__)
        self._wakers[hook.name].set()

    # --- deliveries ----------------------------------------------------------------------------------

    async def _deliver_all(self, hook: Webhook) -> None:
        waker = self._wakers[hook.name]
        while True:
            waker.clear()
            try:
                wait_s = await self._deliver_next(hook)
            except sqlite3.Error as error:
                _log.error("webhook_queue_unreadable", webhook=hook.name, error=type(error).__name__)
                wait_s = RETRY_MAX_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await waker.wait()

    async def _deliver_next(self, hook: Webhook) -> float | None:
        """Deliver what is due. Return how long to wait then, None until something is queued."""
        delivery = self._queue.next(hook.name)
        if delivery is None:
            return None
        course, now_s = self._courses[hook.name], self._clock.wall_s()
        wait_s = max(delivery.due, course.paused_until_s) - now_s
        if wait_s > 0:
            return wait_s
        course.last_error, course.last_status = await self._attempt(hook, delivery)
        if course.last_error is None:
            course.failures, course.paused_until_s = 0, 0.0
            course.last_delivered_s = self._clock.wall_s()
            self._queue.delivered(hook.name, delivery.seq)
        else:
            self._failed(hook, delivery, course)
        return 0.0

    def _failed(self, hook: Webhook, delivery: Delivery, course: _Course) -> None:
        now_s = self._clock.wall_s()
        course.failures += 1
        course.paused_until_s = now_s + _pause_s(course.failures)
        attempts = delivery.attempts + 1
        given_up = attempts >= ATTEMPTS_MAX
        _log.warning(
            "webhook_failed",
            webhook=hook.name,
            event_id=delivery.event_id,
            reason=course.last_error,
            status=course.last_status,
            attempts=attempts,
            given_up=given_up,
        )
        if given_up:
            self._queue.given_up(hook.name, delivery.seq)
        else:
            self._queue.failed(delivery.seq, now_s + _pause_s(attempts))

    async def _attempt(self, hook: Webhook, delivery: Delivery) -> tuple[str | None, int | None]:
        """Return why it did not arrive, None where it did, and the status that was answered."""
        signed = (SIGNATURE_HEADER, signature(hook.secret, int(self._clock.wall_s()), delivery.body))
        try:
            async with asyncio.timeout(hook.timeout_s):
                answer = await post(hook.server, delivery.body, (signed,))
        except TimeoutError:
            return "no_answer_in_time", None
        except AnswerTooLongError:
            return "answer_too_long", None
        except h11.ProtocolError:
            return "no_http", None
        except OSError as error:
            return _os_error(error), None
        if 200 <= answer.status < 300:
            return None, answer.status
        return "redirect" if 300 <= answer.status < 400 else "refused", answer.status

    def _view(self, hook: Webhook) -> WebhookView:
        course = self._courses[hook.name]
        counts, upcoming = self._queue.counts(hook.name), self._queue.next(hook.name)
        next_s = max(upcoming.due, course.paused_until_s) if upcoming else None
        return WebhookView(
            name=hook.name,
            url=hook.url,
            events=tuple(sorted(hook.events)),
            waiting=counts.waiting,
            delivered=counts.delivered,
            dropped=counts.dropped,
            given_up=counts.given_up,
            failures=course.failures,
            last_delivered_at=_moment(course.last_delivered_s),
            last_error=course.last_error,
            last_error_note=None if course.last_error is None else ERROR_NOTES[course.last_error],
            last_status=course.last_status,
            next_attempt_at=_moment(next_s),
        )


def _pause_s(failures: int) -> float:
    return min(RETRY_FIRST_S * 2.0 ** (failures - 1), RETRY_MAX_S)


def _event_id(kind: str, data: Mapping[str, Any]) -> str:
    """Return letters alone. What an operation became has one name, however often it is told and after a restart too."""
    if "operation" in data:
        news = json.dumps([kind, data["operation"]], sort_keys=True).encode()
        name = hashlib.sha256(news).hexdigest()[:32]
    else:
        name = secrets.token_hex(16)
    return "e-" + name.translate(_LETTERS)


def _subject(kind: str, data: Mapping[str, Any]) -> str:
    """Return what the event is about: of two events of one subject the one with the higher sequence holds."""
    if data.get("operation"):
        return f"{kind}:{data['operation']['id']}"
    if data.get("capture"):
        return f"{kind}:{data['capture']}" + (f".{data['field']}" if kind == "field" else "")
    named = data.get("id") or data.get("call")
    return f"{kind}:{named}" if named else kind


def _os_error(error: OSError) -> str:
    """A word for it: texts of TLS and of names tell hosts and files."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_WORDS.get(error.verify_code, "certificate")
    name = type(error).__name__
    return {"SSLError": "tls", "gaierror": "name"}.get(name, "connection")


def _moment(wall_s: float | None) -> datetime.datetime | None:
    return None if wall_s is None else datetime.datetime.fromtimestamp(wall_s, datetime.UTC)
