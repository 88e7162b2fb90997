"""Every shipped flow behaves as its transcripts say: the real interpreter, the real capture machine, virtual time.

After a wanted change: ``UPDATE_TRANSCRIPTS=1 pytest tests/unit/service/test_transcripts.py``, then read the diff.
"""

import os
from pathlib import Path

import pytest

from dtmf_shield.flow.loader import load_flow
from dtmf_shield.service.flows.simulation import parse_script, simulate

FLOWS = Path(__file__).parents[3] / "ivr_flows"
TWINS = sorted((FLOWS / "transcripts").glob("*.transcript"))
BREAK = "---\n"


@pytest.mark.parametrize("twin", TWINS, ids=lambda path: path.stem)
def test_a_flow_does_what_its_transcript_says(twin):
    flow_file = FLOWS / f"{twin.name.split('.')[0]}.yaml"
    script, _, expected = twin.read_text("utf-8").partition(BREAK)

    transcript = simulate(load_flow(flow_file.read_text("utf-8"), file=flow_file.name), parse_script(script))

    if os.environ.get("UPDATE_TRANSCRIPTS"):
        twin.write_text(f"{script}{BREAK}{transcript}", "utf-8")
    else:
        assert str(transcript) == expected
    assert transcript.ended


def test_every_shipped_flow_has_transcripts_of_a_good_and_of_a_bad_end():
    ends = {path.stem: set() for path in FLOWS.glob("*.yaml")}
    for twin in TWINS:
        last = twin.read_text("utf-8").splitlines()[-1]
        ends[twin.name.split(".")[0]].add(last.split("exit")[1].split(",")[0].strip())

    good = {"paid", "tokenized", "verified"}
    assert all(found & good for found in ends.values())
    assert all(found - good for name, found in ends.items() if name != "card-tokenize-agent")
