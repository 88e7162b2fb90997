"""Entry of the control process: ``python -m dtmf_shield.service.control``."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

import uvloop

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import configure_log, get_logger
from dtmf_shield.model.messages import StopService, ToControl
from dtmf_shield.service.channel import CHANNEL_FD_VARIABLE, Channel
from dtmf_shield.service.control.process import ControlProcess

EXIT_OPERATOR = 2


def main() -> int:
    """Run the process. Exit codes: 0 told to leave, 2 what an operator must mend."""
    configure_log(process="control")
    supervisor: Channel[Any] = Channel(socket.socket(fileno=int(os.environ[CHANNEL_FD_VARIABLE])), ToControl)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(ControlProcess(supervisor).run())
    except OperatorError as error:
        get_logger("control").error("control_cannot_serve", reason=str(error))
        supervisor.send(StopService(str(error)))
        return EXIT_OPERATOR
    except EOFError:
        return EXIT_OPERATOR  # the supervisor is gone before it said what to do
    return 0


if __name__ == "__main__":
    sys.exit(main())
