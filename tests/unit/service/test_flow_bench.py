"""The flows of a service for who writes them: served ones from the shelf, texts in the workbench, which is sealed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dtmf_shield.api.ports.flow_bench import (
    FlowNotFound,
    SimulationRefused,
    WorkbenchBusy,
    WorkbenchFailed,
)
from dtmf_shield.base.config import Config
from dtmf_shield.service.control import flow_bench
from dtmf_shield.service.control.flow_bench import FlowBench
from dtmf_shield.service.flows import findings
from dtmf_shield.service.flows.files import shipped_flows
from dtmf_shield.service.flows.versions import FlowShelf, take_over

pytestmark = pytest.mark.anyio
PAYMENT = (shipped_flows() / "card-payment-agent.yaml").read_text("utf-8")
INPUTS = "input amount=12.50\ninput currency=GBP\ninput reference=A-1\n"
PAYS = INPUTS + "card visa\nkeys 1230\nkeys 123\nkeys 1\n"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def shelf(directory: Path, *names: str) -> FlowShelf:
    files = [shipped_flows() / f"{name}.yaml" for name in names]
    shelf = FlowShelf(directory, lambda flow: findings.findings(flow, Config()))
    shelf.serve(shelf.read(take_over(directory, files)))
    return shelf


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FlowBench]:
    served = shelf(tmp_path_factory.mktemp("flows"), "card-payment-agent", "card-payment-self-service")
    bench = FlowBench(served, lambda flow: findings.findings(flow, Config()))
    yield bench
    await bench.close()


async def test_versions_say_what_is_served_and_what_the_configuration_lacks(bench: FlowBench) -> None:
    agent, self_service = bench.versions()

    assert (agent.id, agent.mode, agent.served, agent.reasons) == (
        "card-payment-agent",
        "agent_assisted",
        True,
        (),
    )
    assert (self_service.id, self_service.served) == ("card-payment-self-service", False)
    assert "hook" in self_service.reasons[0]
    assert len(agent.version) == 12


async def test_text_and_graph_are_those_of_the_file(bench: FlowBench) -> None:
    assert bench.source("card-payment-agent").text == PAYMENT
    assert bench.graph("card-payment-agent").start == "card"
    assert bench.picture("card-payment-agent").startswith("<svg")
    for ask in (bench.source, bench.graph, bench.picture):
        with pytest.raises(FlowNotFound):
            ask("no-such-flow")


async def test_a_mistake_is_told_at_its_line_with_what_was_meant(bench: FlowBench) -> None:
    wrong = PAYMENT.replace("start: card\n", "start: cart\n")

    [finding] = (await bench.check(wrong)).findings

    assert wrong.splitlines()[finding.line - 1] == "start: cart"
    assert (finding.severity, finding.key, finding.suggestion) == ("error", "start", "card")
    assert (await bench.check(PAYMENT)).findings == ()


async def test_a_text_is_drawn_where_it_has_no_error(bench: FlowBench) -> None:
    drawn = await bench.draw(PAYMENT)
    nothing = await bench.draw("flow: [")

    assert drawn.svg == bench.picture("card-payment-agent")
    assert drawn.graph == bench.graph("card-payment-agent")
    assert (nothing.svg, nothing.graph) == ("", None)


async def test_a_payment_is_simulated_without_a_number_in_the_script_or_the_transcript(
    bench: FlowBench,
) -> None:
    done = await bench.simulate(PAYMENT, PAYS)

    said = "\n".join(line.text for line in done.lines)
    assert done.ended
    assert [line.text for line in done.lines if line.verb == "accepted"] == [
        "pan visa ending 4242",
        "expiry",
        "cvv",
    ]
    assert done.lines[-1].text.startswith("paid")
    assert "•" * 16 in said
    assert "42424" not in said


@pytest.mark.parametrize(
    ("text", "script", "told"),
    [
        (PAYMENT, "card visas", "script line 1"),
        (PAYMENT, "keys 1", "amount"),
        (PAYMENT.replace("start: card\n", "start: cart\n"), PAYS, "did you mean card"),
    ],
)
async def test_what_cannot_be_simulated_is_refused_with_the_reason(
    bench: FlowBench, text: str, script: str, told: str
) -> None:
    with pytest.raises(SimulationRefused) as refusal:
        await bench.simulate(text, script)

    assert told in " ".join(refusal.value.findings)


async def test_orders_come_one_after_the_other_and_too_many_are_refused(bench: FlowBench) -> None:
    orders = [bench.check(PAYMENT) for _ in range(flow_bench.ORDERS_WAITING_MAX + 1)]

    *answered, last = await asyncio.gather(*orders, return_exceptions=True)

    assert {type(answer).__name__ for answer in answered} == {"FlowCheckView"}
    assert isinstance(last, WorkbenchBusy)


async def test_a_workbench_that_died_or_is_stuck_is_replaced(
    bench: FlowBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.check(PAYMENT)
    first = workbench_of(bench)
    os.kill(first, 9)
    with pytest.raises(WorkbenchFailed):
        await bench.check(PAYMENT)
    await bench.check(PAYMENT)
    second = workbench_of(bench)
    monkeypatch.setattr(flow_bench, "ORDER_TIME_MAX_S", 0.0)
    with pytest.raises(WorkbenchFailed):
        await bench.check(PAYMENT)
    monkeypatch.undo()

    assert (await bench.check(PAYMENT)).findings == ()
    assert len({first, second, workbench_of(bench)}) == 3
    assert not Path(f"/proc/{second}").exists()


async def test_the_workbench_is_sealed_and_alone(bench: FlowBench) -> None:
    await bench.check(PAYMENT)
    status = Path(f"/proc/{workbench_of(bench)}/status").read_text("ascii")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)

    assert (facts["NoNewPrivs"], facts["Seccomp"], facts["Threads"]) == ("1", "2", "1")
    open_now = Path(f"/proc/{workbench_of(bench)}/fd").iterdir()
    assert {int(entry.name) for entry in open_now} <= {0, 1, 2}


async def test_an_unused_workbench_leaves(bench: FlowBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_bench, "IDLE_S", 0.05)
    await bench.check(PAYMENT)
    process = bench._process
    assert process is not None

    assert await asyncio.wait_for(process.wait(), 10) == 0


def workbench_of(bench: FlowBench) -> int:
    assert bench._process is not None
    return bench._process.pid


def mistakes(text: str) -> list[str]:
    """Return texts with a line that is no YAML, is missing, or has a letter too few, at places over the whole."""
    lines = text.splitlines()
    wrong = []
    for place in range(3, len(lines), max(len(lines) // 4, 1)):
        changed = ([], [lines[place].replace(":", ": [", 1)], [lines[place].replace("e", "", 1)])
        wrong += ["\n".join([*lines[:place], *line, *lines[place + 1 :]]) for line in changed]
    return wrong


async def test_no_mistake_needs_what_a_sealed_process_cannot_load(bench: FlowBench) -> None:
    texts = ["", "- a", "x: &a [*a]", "\x00", "x: {a: 1, a: 2}", "%YAML 1.1\n---\nflow: v1", "--- a\n--- b"]
    for path in sorted(shipped_flows().glob("*.yaml"))[::3]:
        texts += mistakes(path.read_text("utf-8"))
    await bench.check(PAYMENT)
    process = workbench_of(bench)

    found = [(await bench.check(text)).findings for text in texts]

    assert workbench_of(bench) == process
    assert sum(map(bool, found)) > len(texts) // 2
