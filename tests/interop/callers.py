"""The callers of these tests: one card keyed by one door while both sides talk, as SIPp scenarios and their files."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dtmf_shield.phone.door import Door
from tests.interop.key_audio import (
    Utterance,
    key_places,
    speech,
    spoken_keys,
    write_key_pcap,
    write_speech_pcap,
    write_ulaw,
)
from tests.interop.sipp import Scenario

SPEECH_MS = 25_000
CLOSING_MS = 3_000
"""The caller talks on for so long after the last key."""
VISA = "4242424242424242"
SECURITY_CODE = "123"
DOORS = (Door.INBAND, Door.RFC4733, Door.INFO)


def expiry() -> str:
    """Return an expiry date that is good for some time: December of the next year, MMYY."""
    return f"12{(datetime.datetime.now(datetime.UTC).year + 1) % 100:02d}"


def card_fields(number: str) -> tuple[str, ...]:
    """Return what is keyed for each field; the hash ends a number that could be longer."""
    return number + "#", expiry(), SECURITY_CODE


@dataclass(frozen=True)
class Material:
    """Files of one stretch of keying: in-band audio, its samples, and the same as telephone events."""

    fields: tuple[str, ...]
    keys_ulaw: Path
    keys_pcap: Path
    speech_ulaw: Path
    speech_pcap: Path
    pcm: NDArray[np.int16]
    places: list[tuple[str, int, int]]
    """Each key of the in-band file with its first and last sample."""

    @property
    def keys(self) -> str:
        """All keys in order."""
        return "".join(self.fields)


def make_material(directory: Path, fields: tuple[str, ...], *, seed: int = 1) -> Material:
    """Write the files. File names say nothing of the keys."""
    directory.mkdir(parents=True, exist_ok=True)
    utterances = [Utterance(field, 500) for field in fields]
    pcm = spoken_keys(utterances, seed=seed, closing_ms=CLOSING_MS)
    name = directory / f"stretch-{seed}"
    return Material(
        fields=fields,
        keys_ulaw=write_ulaw(name.with_suffix(".ul"), pcm),
        keys_pcap=write_key_pcap(
            name.with_suffix(".pcap"), utterances, ssrc=0xCA11_0000 + seed, seed=seed, closing_ms=CLOSING_MS
        ),
        speech_ulaw=write_ulaw(directory / "speech.ul", speech(SPEECH_MS)),
        speech_pcap=write_speech_pcap(directory / "speech.pcap", SPEECH_MS, ssrc=0x5BEE_C400),
        pcm=pcm,
        places=key_places(utterances),
    )


def keying_caller(door: Door, material: Material, *stretches: Material) -> Scenario:
    """Call, talk; at each go key a stretch by ``door`` and talk on; at one more go hang up."""
    scenario = talking_caller(door, material)
    for stretch in (material, *stretches):
        scenario = _keyed(scenario.wait_for_go(), door, stretch)
    return scenario.wait_for_go().bye()


def talking_caller(door: Door, material: Material) -> Scenario:
    """Call and talk."""
    if door is Door.RFC4733:
        return Scenario(pcap=True).invite().answered().pcap(material.speech_pcap)
    return Scenario().invite().answered().stream(material.speech_ulaw, loops=-1)


def _keyed(scenario: Scenario, door: Door, stretch: Material) -> Scenario:
    """Key and talk on without a pause in the script: the next go may come at any time, and what plays is cut."""
    if door is Door.INBAND:
        return scenario.stream(stretch.keys_ulaw)
    if door is Door.RFC4733:
        return scenario.pcap(stretch.keys_pcap)
    for field in stretch.fields:
        scenario = scenario.pause(500).info(field)
    return scenario
