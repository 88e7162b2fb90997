"""Entry of the control process: ``python -m dtmf_shield.service.control``."""

from __future__ import annotations

import sys

import uvloop

from dtmf_shield.model.messages import ProcessName, ToControl
from dtmf_shield.service.channel import Channel
from dtmf_shield.service.control.process import ControlProcess
from dtmf_shield.service.entry import run_process


async def _serve(supervisor: Channel[ToControl]) -> None:
    await ControlProcess(supervisor).run()


def main() -> int:
    """Run the process."""
    return run_process(ProcessName.CONTROL, ToControl, _serve, uvloop.new_event_loop)


if __name__ == "__main__":
    sys.exit(main())
