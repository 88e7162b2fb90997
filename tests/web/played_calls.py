"""Test calls as the play phones keep them, made without a telephone: keyed audio, masked as the service masks it."""

from __future__ import annotations

import dataclasses
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dtmf_shield.api.ports.test_calls import EvidenceNotReady, PlayPhonesSilent, TestCallNotFound
from dtmf_shield.api.views.test_calls import Side, TestCallEvidence, TestCallList
from dtmf_shield.model.capture import FieldKind
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.tones import key_tone
from dtmf_shield.phone.voices import Voice, voice
from dtmf_shield.service.file_analysis import mask_file
from dtmf_shield.service.play.caller import Fingers, Line
from dtmf_shield.service.play.evidence import Evidence, evidence_of
from dtmf_shield.service.play.shelf import TestCall, evidence_as_json, row_of
from dtmf_shield.service.play.tape import CallTape

SECONDS, PACKET, TONE, STEP = 42, 160, 800, 1_760
ENTRIES = (
    (9.0, FieldKind.CARD_NUMBER, "5555555555554444#"),
    (19.5, FieldKind.EXPIRY, "1228"),
    (27.0, FieldKind.SECURITY_CODE, "123"),
)
LATE = 480
BEGAN_S = 1_774_775_520.0
LEAKED_PRESS = 18


@cache
def evidence(leaked: bool) -> Evidence:
    """Return the evidence of a call in which a published card was keyed; ``leaked``: one key passes unmasked."""
    caller, starts = _keyed()
    with tempfile.TemporaryDirectory() as directory:
        files = Path(directory) / "caller.wav", Path(directory) / "agent.wav"
        soundfile.write(files[0], caller, 8_000)
        mask_file(*files)
        agent, _ = soundfile.read(files[1], dtype="int16")
    if leaked:
        start = starts[LEAKED_PRESS][0]
        agent[start : start + TONE] = caller[start : start + TONE]
    tape = CallTape()
    late = np.pad(agent, (LATE, 0))
    marks = dict(starts)
    for at in range(0, SECONDS * 8_000, PACKET):
        if at in marks:
            tape.pressed(marks[at], Door.INBAND, 100)
        tape.sent(caller[at : at + PACKET], at / 8_000)
        tape.heard(late[at : at + PACKET], at / 8_000)
    return evidence_of(tape, 0, 0)


def _keyed() -> tuple[NDArray[np.int16], list[tuple[int, FieldKind]]]:
    """People do not talk while they key: the speech rests from an entry's first key to a while after its last."""
    pcm = np.resize(voice(Voice.CALLER).astype(int), SECONDS * 8_000)
    starts = []
    for begin_s, field, keys in ENTRIES:
        at = int(begin_s * 8_000)
        pcm[at - 4_000 : at + len(keys) * STEP + 8_000] = 0
        for key in keys:
            pcm[at : at + TONE] += key_tone(key, 100)
            starts.append((at, field))
            at += STEP
    return np.clip(pcm, -32768, 32767).astype(np.int16), starts


class PlayedCalls:
    """The port behind the API: a clean call and, where a test wants them, a leak, a call that goes on, or silence."""

    def __init__(self) -> None:
        self.calls_kept: list[TestCall] = []
        self.silent = False
        self.show("clean")

    def show(self, *names: str) -> None:
        """Keep these, the newest first: ``clean``, ``leaked``, ``running``, ``judging``."""
        self.calls_kept = [self._call(name, place) for place, name in enumerate(names)]

    def _call(self, name: str, place: int) -> TestCall:
        call = TestCall(
            f"{name}x{'a' * 8}"[:8], BEGAN_S - 420 * place, Door.INBAND, Fingers.NORMAL, Line.CLEAN
        )
        if name in ("clean", "leaked"):
            call.evidence, call.tape = evidence(name == "leaked"), None
        call.over = name != "running"
        call.ended_s = call.began_s + SECONDS
        return call

    async def calls(self) -> TestCallList:
        if self.silent:
            raise PlayPhonesSilent
        return TestCallList.model_validate({"calls": [row_of(call) for call in self.calls_kept]})

    async def evidence(self, call_id: str) -> TestCallEvidence:
        call = self._find(call_id)
        if call.evidence is None:
            raise EvidenceNotReady
        return TestCallEvidence.model_validate(evidence_as_json(call, call.evidence))

    async def picture(self, call_id: str, side: Side) -> bytes:
        found = self._find(call_id).evidence
        if found is None or found.agent is None:
            raise TestCallNotFound
        return {"caller": found.caller, "agent": found.agent}[side].picture

    def one_sided(self) -> None:
        """As after a self-service call: nobody's phone of ours received anything."""
        [call] = self.calls_kept
        if call.evidence is not None:
            call.evidence = dataclasses.replace(call.evidence, agent=None, verdict="one_sided")  # type: ignore[arg-type]  # a word of the view

    def _find(self, call_id: str) -> TestCall:
        for call in self.calls_kept:
            if call.id == call_id:
                return call
        raise TestCallNotFound
