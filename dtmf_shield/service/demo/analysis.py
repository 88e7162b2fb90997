"""What the recordings of one call prove: keys heard on each side by several detectors, and a strong attacker.

The caller's side is the positive control: what is not heard there proves nothing by being absent elsewhere. Keys are
counted, never named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from dtmf_shield.base.errors import OperatorError
from dtmf_shield.phone.door import Door
from dtmf_shield.service.demo.evidence import KeyMark
from dtmf_shield.service.demo.scenario import SentKey
from dtmf_shield.service.file_analysis import detect_file
from dtmf_shield.service.witness.attacker import AttackResult, attack, lag_between
from dtmf_shield.service.witness.independent import SAMPLE_RATE_HZ, WITNESSES, HeardKey, fft_keys

OWN_DETECTOR: Final = "dtmf-shield"


@dataclass(frozen=True, slots=True)
class CallFiles:
    """Recordings of one call: what the caller's phone sent, what the agent's received, what the service kept."""

    caller: Path
    agent: Path
    recording: Path


@dataclass(frozen=True, slots=True)
class Heard:
    """Keys heard in one recording, by detector."""

    by_detector: dict[str, int]

    @property
    def most(self) -> int:
        """What the keenest detector heard."""
        return max(self.by_detector.values())

    @property
    def agreed(self) -> int:
        """What our detector and the best independent one both heard."""
        others = [count for name, count in self.by_detector.items() if name != OWN_DETECTOR]
        return min(self.by_detector.get(OWN_DETECTOR, 0), max(others, default=0))


@dataclass(frozen=True, slots=True)
class CallEvidence:
    """The evidence of one call. Counts of keys throughout; `attacks` by recording, None where no tone was sent."""

    door: Door
    keys_sent: int
    events_at_agent: int
    """Telephone events and INFO that reached the agent's phone."""
    caller: Heard
    agent: Heard
    recording: Heard
    attacks: dict[str, AttackResult] = field(default_factory=dict)
    lag: int = 0
    marks: tuple[KeyMark, ...] = ()

    @property
    def heard_caller_side(self) -> int:
        """Keys that left the caller's phone: heard as tones, or counted as events and INFO by the phone itself."""
        return self.caller.agreed if self.door is Door.INBAND else self.keys_sent

    @property
    def heard_agent_side(self) -> int:
        """Keys that reached the agent's phone in any form that any detector knows."""
        return max(self.agent.most, self.events_at_agent)

    @property
    def control_holds(self) -> bool:
        """Tell whether every key was heard where it must be heard, also by the attacker."""
        control = self.attacks.get("caller")
        return self.heard_caller_side == self.keys_sent > 0 and (control is None or control.beats_luck)

    @property
    def leak(self) -> bool:
        """Tell whether anything of a key reached the agent's phone or the recording."""
        attacked = any(result.beats_luck for name, result in self.attacks.items() if name != "caller")
        return self.heard_agent_side > 0 or self.recording.most > 0 or attacked


def read_channels(path: Path) -> list[NDArray[np.int16]]:
    """Return the channels of an 8 kHz WAV file. Raises OperatorError."""
    try:
        samples, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise OperatorError(f"{path} is missing or no WAV file: {error}") from error
    if rate_hz != SAMPLE_RATE_HZ:
        raise OperatorError(f"{path} is sampled at {rate_hz} Hz instead of {SAMPLE_RATE_HZ}")
    return [np.ascontiguousarray(samples[:, channel]) for channel in range(samples.shape[1])]


def listen(path: Path) -> Heard:
    """Let every detector that is installed listen to every channel of `path`."""
    channels = read_channels(path)
    counts = {OWN_DETECTOR: len(detect_file(path)["digits"])}
    for name, witness in WITNESSES.items():
        heard = [keys for channel in channels if (keys := witness(channel)) is not None]
        if heard:
            counts[name] = sum(len(keys) for keys in heard)
    return Heard(counts)


def analyse(
    door: Door, files: CallFiles, sent: Sequence[SentKey], keys_sent: int, events_at_agent: int
) -> CallEvidence:
    """Judge one call by its recordings. Takes about a second of computing."""
    caller, agent = read_channels(files.caller)[0], read_channels(files.agent)[0]
    kept = read_channels(files.recording)[0]  # the left channel is the caller's
    presses = fft_keys(caller) if door is Door.INBAND else []
    lag, _ = lag_between(caller, agent, presses)
    attacks: dict[str, AttackResult] = {}
    if presses:
        lag_kept, _ = lag_between(caller, kept, presses)
        attacks = {
            "caller": attack(caller, presses, 0),
            "agent": attack(agent, presses, lag),
            "recording": attack(kept, presses, lag_kept),
        }
    return CallEvidence(
        door=door,
        keys_sent=keys_sent,
        events_at_agent=events_at_agent,
        caller=listen(files.caller),
        agent=listen(files.agent),
        recording=listen(files.recording),
        attacks=attacks,
        lag=lag,
        marks=_marks(sent, presses),
    )


def _marks(sent: Sequence[SentKey], presses: Sequence[HeardKey]) -> tuple[KeyMark, ...]:
    """Place key presses on the caller's recording: by ear where they are audible, else by the clock."""
    if len(presses) == len(sent):
        return tuple(
            KeyMark(key.field, press.start, press.end) for key, press in zip(sent, presses, strict=True)
        )
    return tuple(
        KeyMark(key.field, int(key.at_s * SAMPLE_RATE_HZ), int((key.at_s + key.duration_s) * SAMPLE_RATE_HZ))
        for key in sent
    )
