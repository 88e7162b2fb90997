"""A rehearsal that cannot even begin says why: a reload is refused, and nothing dies silently."""

import asyncio
import errno

import pytest

from dtmf_shield.model.messages import ConfigureCde
from dtmf_shield.service import rehearsal


@pytest.mark.parametrize("missing", ["create_region", "Child"])
def test_a_system_that_gives_no_process_or_no_memory_is_a_reason(monkeypatch, missing):
    def refuse(*_arguments, **_more):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(rehearsal, missing, refuse)

    reason = asyncio.run(rehearsal.rehearse(ConfigureCde(state_directory="", gateways=()), None))

    assert "Too many open files" in reason
