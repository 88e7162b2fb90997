"""The whole demonstration: phones, service, calls, judgement, files. Exit status 0 only if nothing leaked."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.phone.door import Door
from dtmf_shield.phone.voices import Voice
from dtmf_shield.service.demo.analysis import CallEvidence, CallFiles, analyse, read_channels
from dtmf_shield.service.demo.delay import PROBE_AGENT, DelayProbe
from dtmf_shield.service.demo.display import DOOR_TITLES, Display
from dtmf_shield.service.demo.evidence import Picture, draw_evidence
from dtmf_shield.service.demo.own_phone import OwnPhone
from dtmf_shield.service.demo.phones import DemoPhone, PhoneMake, Pjsua2Phone, pjsua2_is_here
from dtmf_shield.service.demo.scenario import FLOW, CallProgress, run_call
from dtmf_shield.service.demo.service_process import ServiceProcess
from dtmf_shield.service.demo.summary import CallReport, summary, why_not, write_summary
from dtmf_shield.service.demo.walk import Walk, walk_of
from dtmf_shield.service.flows.files import load, shipped_flows

STAGGER_S: Final = 1.5
"""Calls begin one after the other, so that each can be watched."""
RECORDING_LIMIT_S: Final = 10.0
FILE_NAMES: Final = ("caller.wav", "agent.wav", "recording.wav", "evidence.png")
LOG_NAME: Final = "service.log"
_PHONE_WORDS: Final = {
    PhoneMake.PJSUA2: "pjsua2 (PJSIP), one process each",
    PhoneMake.SCRIPTED: "the project's own scripted phone",
}


@dataclass(frozen=True, slots=True)
class _Line:
    """One call's caller and agent."""

    progress: CallProgress
    caller: DemoPhone
    agent: DemoPhone


@dataclass(frozen=True, slots=True)
class _Show:
    """The flow that is shown, and what its caller does."""

    file: Path
    walk: Walk

    def flows_in(self, directory: Path) -> Path:
        """Put the flow, and beside it the default one, where the service reads its flows."""
        directory.mkdir()
        shutil.copyfile(shipped_flows() / f"{FLOW}.yaml", directory / f"{FLOW}.yaml")
        if self.walk.flow != FLOW:
            shutil.copyfile(self.file, directory / "shown.yaml")
        else:
            shutil.copyfile(self.file, directory / f"{FLOW}.yaml")
        return directory


def chosen_make(wanted: PhoneMake | None) -> PhoneMake:
    """Return the make of phone to use: pjsua2 where it is installed. Raises OperatorError for one that is not."""
    if wanted is PhoneMake.PJSUA2 and not pjsua2_is_here():
        raise OperatorError("pjsua2 is not installed (pip install pjsua2-python); use --phone scripted")
    return wanted or (PhoneMake.PJSUA2 if pjsua2_is_here() else PhoneMake.SCRIPTED)


def run_demo(
    doors: Sequence[Door],
    out: Path,
    *,
    console: Console,
    make: PhoneMake | None = None,
    as_json: bool = False,
    flow: Path | None = None,
    keys: str = "",
    inputs: Mapping[str, str] | None = None,
) -> int:
    """Run the demonstration by `doors`, leave its files in `out`, and return the exit status: 0 or 1.

    `flow`: a file of one's own, none: the shipped FLOW. `keys`: what the caller keys, empty: what leads to a good end.
    Raises OperatorError where it cannot even begin.
    """
    display = Display(console, quiet=as_json)
    file = flow or shipped_flows() / f"{FLOW}.yaml"
    loaded = load(file)
    show = _Show(file, walk_of(loaded, keys, inputs))
    try:
        return asyncio.run(_run(doors, out, display, console, chosen_make(make), as_json, show))
    except (KeyboardInterrupt, asyncio.CancelledError):
        display.say("Stopped before the end; phones and service are switched off.")
        return 1


async def _run(
    doors: Sequence[Door],
    out: Path,
    display: Display,
    console: Console,
    make: PhoneMake,
    as_json: bool,
    show: _Show,
) -> int:
    began_s = time.monotonic()
    if (task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    _clear(out)
    with tempfile.TemporaryDirectory(prefix="dtmf-shield-demo-") as work:
        reports = await _calls(doors, out, Path(work), display, make, show)
    content = summary(reports)
    write_summary(content, out / "summary.json")
    failure = why_not(reports)
    heard_by = next((list(report.evidence.caller.by_detector) for report in reports if report.evidence), [])
    display.outcome(
        reports,
        failure=failure,
        phones=_PHONE_WORDS[make],
        detectors=heard_by,
        out=out,
        took_s=time.monotonic() - began_s,
    )
    if as_json:
        console.print_json(data=content)
    return 1 if failure else 0


def _clear(out: Path) -> None:
    """Make `out`, and remove what an earlier run left there: old evidence must not be taken for new."""
    try:
        for directory in (out, *(out / door for door in Door)):
            for name in (*FILE_NAMES, "summary.json", LOG_NAME):
                (directory / name).unlink(missing_ok=True)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"--out {out}: {error.strerror}; name a directory that can be written") from error


async def _calls(
    doors: Sequence[Door], out: Path, work: Path, display: Display, make: PhoneMake, show: _Show
) -> list[CallReport]:
    """Start everything, run the calls, stop everything, judge."""
    async with AsyncExitStack() as stack:
        display.say(f"Starting {2 * len(doors)} phones: {_PHONE_WORDS[make]} …")
        lines = await asyncio.gather(*(_line(door, make, work, stack) for door in doors))
        probe = DelayProbe()
        stack.push_async_callback(probe.close)
        await probe.start()
        service = ServiceProcess(work, out / LOG_NAME, show.flows_in(work / "flows"))
        stack.push_async_callback(service.stop)
        display.say("Starting the service: supervisor, control, media, cde, and a TEST gateway …")
        agents = {str(line.progress.door): line.agent.port for line in lines} | {
            PROBE_AGENT: probe.agent_port
        }
        await service.start(agents)
        display.say(
            f"Ready at SIP {service.sip[0]}:{service.sip[1]}. Both sides talk all the time; listen for the keys."
        )
        calls = asyncio.create_task(_all_calls(lines, service, show.walk))
        measuring = asyncio.create_task(probe.measure(service.uri(PROBE_AGENT)))
        await display.follow([line.progress for line in lines], calls)
        await calls
        delay_ms = await measuring
        await asyncio.gather(*(phone.close() for line in lines for phone in (line.caller, line.agent)))
        await _recordings(lines, service)
        display.say("Listening to what each side received …")
        reports: list[CallReport] = []
        for line in lines:
            directory = out / line.progress.door if len(lines) > 1 else out
            reports.append(await asyncio.to_thread(_report, line, directory, service.recordings, delay_ms))
    if len(lines) > 1:
        _copy_first(out / lines[0].progress.door, out)
    return reports


def _copy_first(source: Path, out: Path) -> None:
    """The files named in the documents exist at the top too: those of the first call."""
    for name in FILE_NAMES:
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)


async def _line(door: Door, make: PhoneMake, work: Path, stack: AsyncExitStack) -> _Line:
    phones: list[DemoPhone] = []
    for _ in range(2):
        phone: DemoPhone = Pjsua2Phone() if make is PhoneMake.PJSUA2 else OwnPhone()
        stack.push_async_callback(phone.close)
        phones.append(phone)
    caller, agent = phones
    await asyncio.gather(caller.start(work / door, Voice.CALLER), agent.start(work / door, Voice.AGENT))
    return _Line(CallProgress(door), caller, agent)


async def _all_calls(lines: Sequence[_Line], service: ServiceProcess, walk: Walk) -> None:
    await asyncio.gather(*(_one(line, service, walk, index) for index, line in enumerate(lines)))


async def _one(line: _Line, service: ServiceProcess, walk: Walk, index: int) -> None:
    await asyncio.sleep(index * STAGGER_S)
    await run_call(line.progress, line.caller, line.agent, service, walk, seed=index + 1)


def _recording_of(progress: CallProgress, directory: Path) -> Path | None:
    """Return the finished recording of a call: its name holds the call's identifier."""
    if not progress.call_id:
        return None
    return next(iter(sorted(directory.glob(f"*{progress.call_id}*.wav"))), None)


async def _recordings(lines: Sequence[_Line], service: ServiceProcess) -> None:
    """Wait for the recordings: the service completes each shortly after its call."""
    deadline_s = time.monotonic() + RECORDING_LIMIT_S
    for line in lines:
        while line.progress.call_id and _recording_of(line.progress, service.recordings) is None:
            if time.monotonic() > deadline_s:
                break
            await asyncio.sleep(0.05)


def _report(line: _Line, directory: Path, recordings: Path, delay_ms: float | None) -> CallReport:
    """Collect one call's files, judge them and draw the picture."""
    progress = line.progress
    directory.mkdir(parents=True, exist_ok=True)
    files = CallFiles(*(directory / name for name in FILE_NAMES[:3]))
    try:
        _collect(line, files, recordings)
        evidence = analyse(
            progress.door, files, progress.sent, line.caller.keys_sent, line.agent.keys_received
        )
    except OperatorError as error:
        progress.failure = progress.failure or str(error)
        return CallReport(progress, None, delay_ms)
    _draw(progress, evidence, files, directory / "evidence.png")
    return CallReport(progress, evidence, delay_ms)


def _collect(line: _Line, files: CallFiles, recordings: Path) -> None:
    kept = _recording_of(line.progress, recordings)
    if kept is None:
        raise OperatorError(f"the service left no recording of the {line.progress.door} call in {recordings}")
    for source, target in (
        (line.caller.sent_file, files.caller),
        (line.agent.heard_file, files.agent),
        (kept, files.recording),
    ):
        if not source.is_file():
            raise OperatorError(f"the {line.progress.door} call was not recorded by its phone")
        shutil.copyfile(source, target)


def _draw(progress: CallProgress, evidence: CallEvidence, files: CallFiles, path: Path) -> None:
    sent = evidence.keys_sent
    clean = not evidence.leak and evidence.control_holds
    arrived = evidence.heard_agent_side
    token = (
        f" Token {progress.token_reference} for the card ending {progress.last4}."
        if progress.token
        else " No token."
    )
    by_ear = evidence.door is Door.INBAND
    draw_evidence(
        Picture(
            caller=read_channels(files.caller)[0],
            agent=read_channels(files.agent)[0],
            lag=evidence.lag,
            marks=evidence.marks,
            title=f"Card keyed by {DOOR_TITLES[evidence.door]}",
            verdict=f"The agent's phone received {arrived} of {sent} keys.{token}",
            clean=clean,
            caller_note=f"{evidence.heard_caller_side} of {sent} keys "
            + ("heard by our detector and an independent one" if by_ear else "sent beside the audio"),
            agent_note=f"{evidence.agent.most} keys heard, {evidence.events_at_agent} events or INFO received",
        ),
        path,
    )
