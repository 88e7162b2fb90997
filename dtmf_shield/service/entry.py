"""How a process under the supervisor begins and ends: its log, its channel, its loop, its exit code.

What it does in between is its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.base.log import configure_log, get_logger
from dtmf_shield.model.messages import ProcessName, StopService
from dtmf_shield.service.channel import CHANNEL_FD_VARIABLE, Channel

EXIT_OPERATOR: Final = 2


def run_process(
    name: ProcessName,
    received: Any,
    serve: Callable[[Channel[Any]], Coroutine[Any, Any, None]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> int:
    """Serve the supervisor whose channel is descriptor DTMF_SHIELD_CHANNEL_FD; ``received`` is what it may say.

    Returns the exit code: 0 told to leave, 2 what an operator must mend, which the supervisor is told.
    """
    configure_log(process=name.value)
    supervisor: Channel[Any] = Channel(socket.socket(fileno=int(os.environ[CHANNEL_FD_VARIABLE])), received)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(serve(supervisor))
    except OperatorError as error:
        get_logger(name.value).error(f"{name.value}_cannot_serve", reason=str(error))
        supervisor.send(StopService(str(error)))
        return EXIT_OPERATOR
    except EOFError:
        return EXIT_OPERATOR  # the supervisor is gone before it said what to do
    return 0
