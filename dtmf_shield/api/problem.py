"""Errors as application/problem+json (RFC 9457). Texts are fixed: nothing of a request is ever echoed."""

from __future__ import annotations

import http
import re
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Route

from dtmf_shield.api.headers import SECURITY_HEADERS
from dtmf_shield.api.ports import DeskRefusal
from dtmf_shield.api.views.words import Prose
from dtmf_shield.base.errors import DtmfShieldError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
FINDINGS_MAX: Final = 8

_PLACE: Final = re.compile(r"[a-z_]{1,24}")


class Problem(BaseModel):
    """RFC 9457 section 3.1. ``findings`` says which members were refused, and what is allowed, never their value."""

    type: Prose
    title: Prose
    status: int
    findings: list[Prose] = []


class ApiRefusal(DtmfShieldError):  # noqa: N818 - a refusal is no fault
    """A request the API itself refuses, before the desk hears of it."""

    def __init__(self, status: int, slug: str, title: str, *, retry_after_s: int | None = None) -> None:
        self.status, self.slug, self.title, self.retry_after_s = status, slug, title, retry_after_s
        super().__init__(title)


def response(
    status: int,
    slug: str,
    title: str,
    findings: list[str] | None = None,
    *,
    retry_after_s: int | None = None,
) -> Response:
    """Return a problem response."""
    body = Problem(
        type=f"urn:dtmf-shield:problem:{slug}", title=title, status=status, findings=findings or []
    )
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        retry_after_s = retry_after_s or RETRY_AFTER_S
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s else {}
    if status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="dtmf-shield"'
    return JSONResponse(body.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI entries for the problems a route may answer with; 400 (unparsable body) and 429 belong to all.

    Where a body may be too large (413) it may be too slow as well (408).
    """
    slow = (408,) if 413 in statuses else ()
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": http.HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in sorted({400, 401, 422, 429, 503, *statuses, *slow})
    }


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Answer every error of ``app`` with a problem. ``routers``: all that it includes, each with its whole prefix."""
    every = [*app.routes, *(route for router in routers for route in router.routes)]
    app.state.own_routes = tuple(route for route in every if isinstance(route, Route))
    app.add_exception_handler(DeskRefusal, _refusal)
    app.add_exception_handler(ApiRefusal, _refusal)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)


async def _refusal(_request: Request, error: Exception) -> Response:
    if isinstance(error, DeskRefusal):
        return response(error.status, error.slug, error.title, error.findings[:FINDINGS_MAX])
    if isinstance(error, ApiRefusal):
        return response(error.status, error.slug, error.title, retry_after_s=error.retry_after_s)
    raise error


async def _validation(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    findings = [_finding(entry) for entry in error.errors()[:FINDINGS_MAX]]
    unparsable = any(finding.endswith("json_invalid") for finding in findings)
    status = 400 if unparsable else 422
    return response(status, "invalid-request", "The request is not of the documented form.", findings)


def _finding(entry: dict[str, Any]) -> str:
    """``body.inputs.reference: string_pattern_mismatch``. Places that a client may name freely become ``?``."""
    places = (str(place) for place in entry.get("loc", ()))
    return (
        ".".join(place if _PLACE.fullmatch(place) else "?" for place in places) + f": {entry.get('type', '')}"
    )


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    phrase = http.HTTPStatus(status).phrase
    answer = response(status, phrase.lower().replace(" ", "-"), phrase + ".")
    if isinstance(error, HTTPException) and error.headers:
        answer.headers.update(error.headers)
    if status == http.HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    return answer


def _methods_at(request: Request) -> set[str]:
    """Return every method of this address (RFC 9110 section 15.5.6); the framework tells those of its first route."""
    path, routes = request.url.path, request.app.state.own_routes
    return {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}


async def _fault(_request: Request, _error: Exception) -> Response:
    # Sent from outside the gate, so it brings the security headers itself.
    answer = response(500, "internal", "The service made a mistake. Masking stays on.")
    answer.raw_headers.extend(SECURITY_HEADERS)
    return answer
