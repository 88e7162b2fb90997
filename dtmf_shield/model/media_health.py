"""How the packet threads of media do: counts and times of the threads themselves, nothing of any caller."""

from __future__ import annotations

import msgspec


class AskMediaHealth(msgspec.Struct, frozen=True, tag=True):
    """Control to media. Answered by MediaHealth."""


class MediaThread(msgspec.Struct, frozen=True, kw_only=True):
    """One packet thread since it has started.

    A packet's stay is the time from its arrival at the socket, which the kernel stamps, to the moment its successor
    has been sent. A deadline is missed by a packet that stays longer than the packet time of most calls, 20 ms.
    """

    name: str
    packets: int = 0
    deadline_misses: int = 0
    stay_us_p50: int = 0
    stay_us_p99: int = 0
    """Upper edges of the classes that stays are counted in; 0 without any."""
    stay_us_max: int = 0
    busy_permille: int = 0
    """Of the time since the last answer, how much was spent at work and not in waiting."""


class MediaHealth(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Media to control.

    The sentinel is a second ear behind the mask: it listens to what leaves for agents, captures first, and counts the
    keys that it hears there.
    """

    threads: tuple[MediaThread, ...] = ()
    listened_legs: int = 0
    """Callers' legs it listens to now."""
    listened_s: int = 0
    """Masked audio it has heard in all."""
    keys_after_mask: int = 0
    """Must be 0."""
    events_lost: int = 0
    """Of the threads' news, what a full ring had no room for."""
