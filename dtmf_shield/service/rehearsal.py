"""A cde that reads a new configuration, with its certificates and templates, seals itself and leaves: does it serve?

A sealed cde reads nothing any more, so a reload replaces it. The rehearsal comes first, while the old one serves: a bad
configuration changes nothing. It never maps the live slots; of the ledger it reads
the wrapped keys alone, as the `keys` commands do beside a running service.
"""

from __future__ import annotations

import asyncio
import os
from typing import IO, Final

from msgspec.structs import replace

from dtmf_shield.account_data.slots import create_region
from dtmf_shield.model.messages import MAILBOX_BYTES, ConfigureCde, ProcessName, StopService, ToSupervisor
from dtmf_shield.service.child import Child

REHEARSAL_TIME_MAX_S: Final = 20.0
"""It starts in a third of a second; longer means that it is stuck."""


async def rehearse(configure: ConfigureCde, log: IO[bytes] | None) -> str:
    """Return why a cde cannot serve ``configure``, empty where it can."""
    try:
        return await _rehearse(configure, log)
    except OSError as error:
        return (
            f"no cde can be started to try it ({error.strerror}); give the service more memory or descriptors"
        )


async def _rehearse(configure: ConfigureCde, log: IO[bytes] | None) -> str:
    regions: list[int] = []
    try:
        regions.append(create_region()[0])
        regions.append(create_region(MAILBOX_BYTES)[0])
        child = Child(ProcessName.CDE, {}, log)
        ended, reasons = _watched(child)
        child.send(replace(configure, rehearsal=True), tuple(regions))
    finally:
        for fd in regions:
            os.close(fd)
    try:
        async with asyncio.timeout(REHEARSAL_TIME_MAX_S):
            await ended.wait()
    except TimeoutError:
        return f"it gave no answer within {REHEARSAL_TIME_MAX_S:.0f} s"
    finally:
        child.kill()
    if child.process.returncode == 0:
        return ""
    return reasons[0] if reasons else f"it ended with code {child.process.returncode}; see the log above"


def _watched(child: Child) -> tuple[asyncio.Event, list[str]]:
    """Return when it has ended, and what it says by then."""
    ended, reasons = asyncio.Event(), list[str]()

    def received(message: ToSupervisor, _fds: tuple[int, ...]) -> None:
        if isinstance(message, StopService):
            reasons.append(message.reason)

    child.watch(asyncio.get_running_loop(), received, lambda _child: ended.set())
    return ended, reasons
