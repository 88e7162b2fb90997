"""The whole demonstration against a 'service' that protects nothing: it must say so, by every door."""

import json

import numpy as np
import pytest
import soundfile
from rich.console import Console

from dtmf_shield.phone.door import Door
from dtmf_shield.service.demo import run, scenario
from dtmf_shield.service.demo.own_phone import OwnPhone
from dtmf_shield.service.demo.phones import PhoneMake
from dtmf_shield.service.demo.service_process import ServiceProcess

KINDS = {"pan": "card_number", "expiry": "expiry", "cvv": "security_code"}
KEYS_UNTIL_HELD = (17, 21, 24)


class Unprotected(ServiceProcess):
    """Callers dial the agent directly; the capture is made up from the number of keys pressed."""

    def __init__(self, directory, log_file, flows=None):
        super().__init__(directory, log_file, flows)
        self.agents, self.capturing, self.pressed = {}, False, lambda: 0

    async def start(self, agents):
        self.agents = dict(agents)
        self.recordings.mkdir(parents=True)
        soundfile.write(self.recordings / "c1.wav", np.zeros((80_000, 2), np.int16), 8000)

    async def stop(self):
        pass

    def uri(self, agent):
        return f"sip:{agent}@127.0.0.1:{self.agents[agent]}"

    async def start_capture(self, call_id, flow, reference, amount=None):
        self.capturing = True

    async def token(self, capture_id):
        return f"tok_test_{capture_id}"

    async def call_dialled(self, dialled):
        pressed = self.pressed()
        held = [pressed >= keys for keys in KEYS_UNTIL_HELD]
        fields = [
            {
                "field": name,
                "kind": kind,
                "state": "valid" if done else "waiting",
                "reason": None,
                "masked": "",
                "brand": None,
                "last4": None,
            }
            for (name, kind), done in zip(KINDS.items(), held, strict=True)
        ]
        outcome = {"result": "token", "token_reference": "tok_…test", "last4": "4242"} if all(held) else None
        capture = {"id": "k1", "fields": fields, "outcome": outcome} if self.capturing or pressed else None
        return {"id": "c1", "state": "talking", "dialled": dialled, "capture": capture}


@pytest.mark.parametrize("door", [Door.INBAND, Door.INFO])
def test_an_unprotected_call_ends_with_leak_and_status_one(door, tmp_path, monkeypatch):
    phones = []

    class WatchedPhone(OwnPhone):
        def __init__(self):
            super().__init__()
            phones.append(self)

    def unprotected(directory, log_file, flows):
        service = Unprotected(directory, log_file, flows)
        service.pressed = lambda: sum(phone.keys_sent for phone in phones)
        return service

    monkeypatch.setattr(run, "OwnPhone", WatchedPhone)
    monkeypatch.setattr(run, "ServiceProcess", unprotected)
    for pause in ("GREETING_S", "REACTION_S", "GOODBYE_S"):
        monkeypatch.setattr(scenario, pause, 0.4)
    console = Console(quiet=True)
    assert run.run_demo([door], tmp_path, console=console, make=PhoneMake.SCRIPTED) == 1
    content = json.loads((tmp_path / "summary.json").read_text())
    (call,) = content["calls"]
    assert content["leak"] is True
    assert call["digits_sent"] == call["digits_heard_caller_side"] == call["digits_heard_agent_side"] == 24
    assert call["token"] == "tok_test_k1"
    assert call["added_delay_ms"] < 5
    assert {path.name for path in tmp_path.iterdir()} >= set(run.FILE_NAMES)
