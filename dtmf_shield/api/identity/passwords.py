"""Passwords: argon2id (RFC 9106) off the event loop, a few at once, and what a password must be.

A name that nobody has costs the same time as one that somebody has: a stand-in is verified.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final, TypeVar

import argon2

from dtmf_shield.api.problem import ApiRefusal

PASSWORD_CHARACTERS_MIN: Final = 12
"""PCI DSS 4.0.1 section 8.3.6: twelve, with a letter and a digit among them."""
PASSWORD_CHARACTERS_MAX: Final = 128
MEMORY_KIB: Final = 19 * 1_024
TIME_COST: Final = 2
"""OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane. One lane: media owns the cores."""
HASHES_AT_ONCE_MAX: Final = 2
HASHES_WAITING_MAX: Final = 32
"""One more is answered 503: what an attacker sends must not queue before the people of a shift change."""


_Answer = TypeVar("_Answer")


class Passwords:
    """Hashes and verifies. Owns its threads."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB, time_cost: int = TIME_COST) -> None:
        self._hasher = argon2.PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE_MAX, thread_name_prefix="argon2")
        self._waiting = 0

    async def hashed(self, password: str) -> str:
        """Return the text to keep. Raises ApiRefusal (503) where too many wait."""
        return await self._run(self._hasher.hash, password)

    async def right(self, kept: str, password: str) -> bool:
        """Whether ``password`` is that of ``kept``; empty: nobody's, verified all the same. Raises ApiRefusal (503)."""
        return await self._run(self._verify, kept or self._stand_in, password) and bool(kept)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _stand_in(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(16))

    def prepare(self) -> None:
        """Make the stand-in, so that the first unknown name takes no longer than the next."""
        self._threads.submit(lambda: self._stand_in)

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    async def _run(self, work: Callable[..., _Answer], *texts: str) -> _Answer:
        if self._waiting >= HASHES_WAITING_MAX:
            raise ApiRefusal(
                503, "too-many-logins", "Too many people sign in just now. Try again in a moment."
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *texts)
        finally:
            self._waiting -= 1


def require_fit(name: str, password: str) -> None:
    """Raise ApiRefusal (422) unless a new password may be taken."""
    fit = (
        PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX
        and re.search(r"[^\W\d_]", password)
        and re.search(r"\d", password)
        and name.lower() not in password.lower()
        and len(set(password)) > PASSWORD_CHARACTERS_MIN // 3
    )
    if not fit:
        raise ApiRefusal(
            422,
            "password-weak",
            f"A password has {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters, a letter and a digit "
            "among them, and not your name.",
        )
