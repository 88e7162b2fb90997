"""What the call core needs of others, as protocols. ``service`` plugs them in; tests plug in fakes.

Every method returns at once, blocks on nothing and raises nothing. No argument can hold a digit but the opaque body.
"""

from __future__ import annotations

from typing import Protocol

from dtmf_shield.call.record import CallRecord
from dtmf_shield.flow.engine.commands import CallHook
from dtmf_shield.model.ids import CallId, LegRole
from dtmf_shield.model.messages import (
    AskChoice,
    CancelCapture,
    CollectField,
    PauseCapture,
    PromptSaid,
    ResumeCapture,
    StartCapture,
    StopAsking,
    SubmitCapture,
)
from dtmf_shield.model.prompt import SpokenPiece
from dtmf_shield.model.stream import MediaPorts, ShieldMode, StreamParameters, Strictness
from dtmf_shield.sip.message import OpaqueBody

CaptureCommand = (
    StartCapture
    | CollectField
    | AskChoice
    | StopAsking
    | PromptSaid
    | SubmitCapture
    | PauseCapture
    | ResumeCapture
    | CancelCapture
)


class MediaPort(Protocol):
    """The media process: fire and forget, answered by ``CallCore.shield_changed``."""

    def media_address(self, *, v6: bool) -> str | None:
        """Return the address to write into SDP for that family; None where it is not served."""

    def reserve(self, call_id: CallId) -> MediaPorts | None:
        """Take a free row and open it there; None where none is free."""

    def adopt(self, call_id: CallId, row: int) -> bool:
        """Mark a row as taken by a restored call, without opening it again; False where it is not to be had."""

    def reopen(self, call_id: CallId, row: int) -> None:
        """Open the row again in a media process that has started anew."""

    def set_stream(self, call_id: CallId, row: int, role: LegRole, stream: StreamParameters) -> None:
        """Give one leg its stream parameters."""

    def set_shield(
        self, call_id: CallId, row: int, role: LegRole, mode: ShieldMode, strictness: Strictness
    ) -> None:
        """Change how audio coming from ``role`` is treated."""

    def play(
        self,
        call_id: CallId,
        row: int,
        role: LegRole,
        play_id: int,
        pieces: tuple[SpokenPiece, ...],
        language: str,
        *,
        loop: bool,
        barge_in: bool,
    ) -> bool:
        """Say ``pieces`` to the phone of ``role`` instead of what it hears now; answered by ``CallCore.prompt_ended``.

        False: nothing will be heard (media is away, or a value cannot be spoken), and nothing answers.
        """

    def ring(self, call_id: CallId, row: int, play_id: int, language: str) -> bool:
        """Let the caller hear the ringing tone until ``stop_prompt`` or the next prompt; False where media is away.

        ``language``: the country in its tag says which tone.
        """

    def stop_prompt(self, call_id: CallId, row: int, role: LegRole, play_id: int) -> None:
        """End that prompt, if it still plays."""

    def close(self, call_id: CallId, row: int) -> None:
        """Free the row."""


class CapturePort(Protocol):
    """The cde process."""

    def send(self, message: CaptureCommand) -> bool:
        """Pass a command on; False where cde is away or full."""

    def opaque_info(self, call_id: CallId, row: int, role: LegRole, body: OpaqueBody) -> bool:
        """Carry an unread INFO body to cde; False where no mailbox cell is free."""


class HookPort(Protocol):
    """Look-ups at the hooks of the configuration."""

    def ask(self, call_id: CallId, mark: int, request: CallHook) -> None:
        """Look up; answered once by ``CallCore.hook_answered`` with the same ``mark``, never within this call. No
        answer in time is an answer (ERROR). ``request.send`` holds inputs, variables and released fields only.
        """


class StorePort(Protocol):
    """Where records of confirmed calls are kept against a crash of this process."""

    def put(self, record: CallRecord) -> None:
        """Write or replace one."""

    def remove(self, call_id: CallId) -> None:
        """Forget one."""
