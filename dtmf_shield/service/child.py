"""One process under the supervisor: start it, talk to it, notice its end. What it is told is the supervisor's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import IO, Any, Final

from dtmf_shield.model.messages import ProcessName, ToSupervisor
from dtmf_shield.service.channel import CHANNEL_FD_VARIABLE, Channel, connect_pair
from dtmf_shield.service.seal.environment import SCRIBBLE_ON_FREE

MODULES: Final = {
    ProcessName.CONTROL: "dtmf_shield.service.control",
    ProcessName.MEDIA: "dtmf_shield.service.media_process",
    ProcessName.CDE: "dtmf_shield.service.cde_process",
}

_COMMON_ENVIRONMENT: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
ENVIRONMENT: Final[Mapping[ProcessName, Mapping[str, str]]] = {
    ProcessName.CONTROL: _COMMON_ENVIRONMENT,
    ProcessName.MEDIA: _COMMON_ENVIRONMENT,
    ProcessName.CDE: _COMMON_ENVIRONMENT | SCRIBBLE_ON_FREE,
}


class Child:
    """A running process and the supervisor's channel to it."""

    def __init__(self, name: ProcessName, environment: Mapping[str, str], log: IO[bytes] | None) -> None:
        """Start the process. Its standard error goes to ``log`` or to ours."""
        ours, theirs = connect_pair()
        self.name = name
        self.ready = False
        self.weaker: tuple[str, ...] = ()
        """Protections it told to be missing, each as ``name: why``."""
        self.last_heard_s = 0.0
        self.drained = asyncio.Event()
        """Told that it holds nothing any more."""
        self.leaving = asyncio.Event()
        """Asked to leave for another to take its place: its end is no accident."""
        self.ended = asyncio.Event()
        variables = {
            **os.environ,
            **ENVIRONMENT[name],
            **environment,
            CHANNEL_FD_VARIABLE: str(theirs.fileno()),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULES[name]],
            pass_fds=[theirs.fileno()],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A Ctrl-C at the terminal reaches the supervisor alone; it tells the others in order.
            start_new_session=True,
        )
        theirs.close()
        self.channel: Channel[ToSupervisor] = Channel(ours, ToSupervisor)
        self._pidfd = os.pidfd_open(self.process.pid)

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def watch(
        self,
        loop: asyncio.AbstractEventLoop,
        on_message: Callable[[ToSupervisor, tuple[int, ...]], None],
        on_exit: Callable[[Child], None],
    ) -> None:
        """Deliver messages, and call ``on_exit`` once when the process has ended."""

        def ended() -> None:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self.process.wait()
            with contextlib.suppress(EOFError):
                # Its last words may say why.
                while (left := self.channel.receive_now()) is not None:
                    on_message(*left)
            self.channel.close()
            self.ended.set()
            on_exit(self)

        loop.add_reader(self._pidfd, ended)
        # A closed channel alone is no end: the process may be on its way out and says so by its exit.
        self.channel.attach(loop, on_message, lambda: None)

    def send(self, message: object, fds: tuple[int, ...] = ()) -> None:
        """Send a message; a dead child's end is noticed by watch()."""
        self.channel.send(message, fds)

    def kill(self) -> None:
        """End it at once. Used for a child that is silent or will not leave."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)

    def __repr__(self) -> str:
        return f"<Child {self.name} pid {self.pid}>"

    def describe(self) -> dict[str, Any]:
        """For the status file."""
        return {"pid": self.pid, "ready": self.ready, "protection_missing": list(self.weaker)}
