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
    child, ended, reasons = Child(ProcessName.CDE, {}, log), asyncio.Event(), list[str]()

    def received(message: ToSupervisor, _fds: tuple[int, ...]) -> None:
        if isinstance(message, StopService):
            reasons.append(message.reason)

    child.watch(asyncio.get_running_loop(), received, lambda _child: ended.set())
    regions = (create_region()[0], create_region(MAILBOX_BYTES)[0])
    child.send(replace(configure, rehearsal=True), regions)
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
