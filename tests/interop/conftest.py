"""One running service and its agents' phones for the modules of this directory that kill nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dtmf_shield.phone.door import Door
from tests.interop.callers import VISA, Material, card_fields, make_material
from tests.interop.phones import Phone, Phones
from tests.interop.running_service import RunningService

WIDEBAND_AGENTS = ("g722-10", "g722-20", "g722-60", "g722-new-source")
"""Phones that speak G.722 as well; one for each kind of packet."""
STREAM_AGENTS = (
    *("g722-to-pcma", "g722-to-pcmu"),
    *("ptime-10", "ptime-30", "ptime-40", "ptime-60", "pcma"),
    *("late-offer", "re-invite", "update", "hold", "new-source"),
    *WIDEBAND_AGENTS,
)
"""One for each kind of stream, so that all can be called at once."""
AGENTS = (*(str(door) for door in Door), "ten", "busy", "declining", "slow", "talking", *STREAM_AGENTS)


@dataclass(frozen=True)
class Exchange:
    """A service, the agents behind it by name, and a phone in front of it."""

    service: RunningService
    phones: Phones
    agents: dict[str, Phone]
    caller: Phone

    def uri(self, dialled: str, index: int = 0) -> str:
        """Return what a phone in front of the service dials."""
        host, port = self.service.sip_address(index)
        return f"sip:{dialled}@[{host}]:{port}" if ":" in host else f"sip:{dialled}@{host}:{port}"


def open_agents(phones: Phones) -> dict[str, Phone]:
    """Open the agents' phones: most answer, some refuse, one rings until it is told to answer."""
    options: dict[str, dict[str, object]] = {
        "busy": {"refuse_with": 486},
        "declining": {"refuse_with": 603},
        "slow": {"auto_answer": False},
        "g722-to-pcma": {"payload_types": (8,)},
        **{name: {"payload_types": (9, 0, 8)} for name in WIDEBAND_AGENTS},
    }
    return {name: phones.open(**options.get(name, {})) for name in AGENTS}


@pytest.fixture(scope="session")
def phones() -> Iterator[Phones]:
    phones = Phones()
    yield phones
    phones.close()


@pytest.fixture(scope="session")
def exchange(phones: Phones, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    agents = open_agents(phones)
    six = phones.open(address="::1")
    addresses = {name: f"127.0.0.1:{phone.port}" for name, phone in agents.items()}
    service = RunningService(
        tmp_path_factory.mktemp("exchange"),
        addresses | {"six": f"[::1]:{six.port}"},
        sip_listen=("127.0.0.1:0", "[::1]:0"),
        media='address_v6 = "::1"',
    )
    try:
        yield Exchange(service, phones, agents | {"six": six}, phones.open())
    finally:
        assert service.stop() == 0, service.log_tail()


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A published test card with expiry and security code."""
    return make_material(tmp_path_factory.mktemp("material"), card_fields(VISA))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory for one test's SIPp."""
    return tmp_path
