"""Every bench runs, from its command line to its result, with so little that its figures prove nothing but that."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import (
    dtmf_battery,
    flow_engine,
    g722,
    leak_attack,
    leak_cells,
    leak_judge,
    reports,
    talkoff,
    throughput,
    tokenize,
    web,
)
from bench.dtmf_conditions import conditions, corners, random_corner
from bench.peers import asterisk_model
from dtmf_shield.media.masker import MODE_CAPTURE
from tests.vectors.dtmf_scoring import hits_and_extras
from tests.vectors.dtmf_signal import KEYS, Recipe, key_stream, whole_packets

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_bench(monkeypatch, tmp_path, capsys):
    def run(bench, *arguments):
        monkeypatch.setattr(sys, "argv", [bench.__name__, *arguments, "--out", str(tmp_path)])
        assert bench.main() == 0
        return {path.stem: path.read_text() for path in tmp_path.glob("*.md")}, capsys.readouterr().out

    return run


def cells_of(text, first_cell, second_cell=""):
    """The cells of the table row that begins so."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == first_cell and (not second_cell or cells[1] == second_cell):
            return cells
    raise AssertionError(f"no row {first_cell} {second_cell}")


def test_throughput_times_both_on_the_same_material(run_bench):
    _, printed = run_bench(throughput, "--n", "1", "--seconds", "4", "--streams", "1", "3", "--json")

    rows = json.loads(printed)
    assert [(row["material"], row["streams"]) for row in rows][:2] == [("speech", 1), ("speech", 3)]
    assert all(min(row["ratio_median"].values()) > 0 for row in rows)


def test_the_timed_loops_hear_the_keys():
    library = throughput.spandsp.load()
    assert library is not None, "libspandsp2 is not installed"
    stream = key_stream(Recipe(repetitions=2), 3)

    ours, theirs = throughput.both_hear(whole_packets(stream.pcm, 160), library)

    assert min(ours, theirs) >= 30


def test_the_battery_keeps_a_row_for_each_condition(run_bench):
    results, _ = run_bench(dtmf_battery, "--n", "16", "--only", "cut", "--processes", "1")

    assert cells_of(results["dtmf"], "100 ms cut by 10 ms (want 1)")[2:4] == [
        "16",
        "100.00 (79.41 to 100.00)",
    ]


def test_conditions_have_names_of_their_own_and_corners_stay_legal():
    names = [condition.name for condition in [*conditions(), *corners(1, 200)]]
    drawn = [random_corner(np.random.default_rng(seed)).changes for seed in range(200)]

    assert len(set(names)) == len(names)
    assert max(abs(corner["row_error"]) for corner in drawn) <= 0.015
    assert max(abs(corner["column_error_hz"]) for corner in drawn) <= 2.0
    assert max(corner["level_dbm0"] + abs(corner["twist_db"]) / 2 for corner in drawn) <= 0.0
    assert min(corner["level_dbm0"] for corner in drawn) >= -25.0
    assert min(corner["snr_db"] for corner in drawn) >= 15.0


def test_the_model_of_asterisk_hardly_doubles_a_key_cut_from_its_middle():
    """3 misses end a key and 2 hits begin one: the 30 ms left after a cut of 20 ms rarely hold both."""
    stream = key_stream(Recipe(repetitions=20, on_ms=100, cut_ms=20), 5)

    hits, extras = hits_and_extras(stream, asterisk_model.events(stream.pcm))

    assert hits == len(stream.keys)
    assert extras <= len(stream.keys) // 100


def test_the_model_of_asterisks_squelch_lets_heads_pass_and_mutes_the_rest():
    stream = key_stream(Recipe(repetitions=10, on_ms=100), 5)

    out = asterisk_model.squelched(stream.pcm)

    heads = [int(np.argmax(out[a:b] == 0)) for a, b in zip(stream.onsets, stream.ends, strict=True)]
    late = [np.count_nonzero(out[a + 320 : b]) for a, b in zip(stream.onsets, stream.ends, strict=True)]
    assert max(heads) <= 2 * 102 + 160
    assert max(late) == 0
    assert np.array_equal(
        asterisk_model.squelched(np.full(1600, 500, np.int16)), np.full(1600, 500, np.int16)
    )


def test_the_attackers_read_what_is_not_muted(tmp_path):
    """The control: without a mute every press passes and is named; with one, none passes."""
    command = [sys.executable, "-m", "bench.leak_attack", "--n", "48", "--no-rtpengine", "--processes", "1"]
    # BLAS threads wait for each other by spinning, which takes long beside other tests.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, env=environment, check=True, capture_output=True
    )

    result = (tmp_path / "leak.md").read_text()
    control = cells_of(result, leak_attack.NO_MUTE, "presses")
    ours = cells_of(result, leak_attack.OURS, "presses")
    accuracy = result.split("## What attackers")[1]
    assert control[2] == "48"
    assert control[3].startswith("48 ")
    assert ours[3].startswith("0 ")
    named = [float(cell.split()[0]) for cell in cells_of(accuracy, leak_attack.NO_MUTE, "presses")[2:6]]
    assert min(named) >= 95.0
    assert re.search(r"better than luck \|$", accuracy, re.MULTILINE)


def test_presses_over_g722_lie_where_they_are_said_to_and_loud_ones_are_muted_from_their_leap_on():
    recipe = {"level_dbm0": -4, "on_ms": 60, "gap_ms": leak_cells.GAP_MS}
    cell = leak_cells.Cell({}, recipe, "G.722", 9)

    stream, mutes = (
        cell.stream(np.zeros(0)),
        leak_cells.g722_mutes(cell.spoken(np.zeros(0)).pcm, MODE_CAPTURE),
    )

    for onset, end in zip(stream.onsets, stream.ends, strict=True):
        around = np.abs(stream.pcm[onset - 320 : end + 640].astype(float))
        assert around[: 320 - 24].max() < 0.02 * around.max()
        assert around[320 - 24 : 320 + 40].max() > 0.2 * around.max()
        assert around[320 + 60 * 16 + 160 :].max() < 0.02 * around.max()
    first_packets = {(onset - 22) // 320 for onset in stream.onsets}
    assert set(np.flatnonzero(mutes)) <= {at + late for at in first_packets for late in (0, 1)}
    assert len(np.flatnonzero(mutes)) >= len(stream.keys)


def test_g722_times_both_coders(run_bench):
    results, _ = run_bench(g722, "--n", "1", "--seconds", "1")

    assert min(float(cell) for cell in cells_of(results["g722"], "encode")[1:]) > 0


def test_the_interpreter_and_its_peer_run_the_same_call(run_bench):
    results, _ = run_bench(flow_engine, "--n", "1", "--calls", "20")

    ours = cells_of(results["flow_engine"], "ours, whole calls with prompts, amounts and limits")
    peer = cells_of(results["flow_engine"], "transitions, the bare steps")
    assert min(float(row[1].replace(",", "")) for row in (ours, peer)) > 0


def test_luck_is_told_from_knowledge():
    rng = np.random.default_rng(4)
    truth = rng.integers(len(KEYS), size=3_200)
    blind = rng.integers(len(KEYS), size=3_200)
    # One press in eight named: 17 % instead of 6.25 %.
    sees = np.where(rng.random(3_200) < 0.125, truth, blind)
    never_right = (truth + 5) % len(KEYS)

    assert leak_judge.judge("blind", truth, blind, 1).is_luck(10)
    assert abs(leak_judge.judge("blind", truth, blind, 1).bits) < leak_judge.MUTUAL_BIT_MAX
    assert not leak_judge.judge("sees", truth, sees, 1).is_luck(10)
    # A wrong guess that is always wrong the same way tells as much as a right one.
    assert leak_judge.judge("wrong", truth, never_right, 1).bits > 3.9
    assert not leak_judge.judge("wrong", truth, never_right, 1).is_luck(10)


@pytest.mark.parametrize("curved", [False, True])
def test_classifiers_learn_from_other_streams_only(curved):
    rng = np.random.default_rng(6)
    truth = rng.integers(len(KEYS), size=1_600)
    stream = np.repeat(np.arange(100), 16)
    telling = rng.standard_normal((1_600, 20)).astype(np.float32)
    telling[np.arange(1_600), truth] += 6.0
    # Each stream labels its presses its own way: only a classifier that saw the stream could use it.
    private = rng.standard_normal((1_600, 20)).astype(np.float32)
    private[np.arange(1_600), (truth + 7 * stream) % len(KEYS)] += 6.0

    assert (leak_judge.learned_guesses(telling, truth, stream, curved) == truth).mean() > 0.9
    assert (leak_judge.learned_guesses(private, truth, stream, curved) == truth).mean() < 0.15


def test_talkoff_counts_keys_and_mute(run_bench):
    results, _ = run_bench(talkoff, "--n", "1", "--synthetic", "--processes", "1")

    assert cells_of(results["talkoff"], "espeak-ng")[2] == "0"
    assert len(cells_of(results["talkoff"].split("## Replaced")[1], "espeak-ng")) == 6


def test_talkoff_sees_a_false_key():
    stream = key_stream(Recipe(repetitions=1), 3)
    recording = talkoff.Recording("beeps", "keys", stream.pcm)

    tallies = talkoff.measure_batch(([recording], 0))

    assert len(tallies["beeps", True].ours) == len(stream.keys)
    assert tallies["beeps", True].muted["capture"] > 0


def test_a_token_is_timed_bare_by_the_sender_and_by_the_whole_process(run_bench):
    results, printed = run_bench(tokenize, "--n", "5", "--captures", "3", "--json")

    found = json.loads(printed.splitlines()[-1])
    assert [row["contender"] for row in found["rows"]] == [tokenize.BARE, tokenize.SENDER, tokenize.CDE]
    assert all(row["p99"] >= row["p50"] > 0 for row in found["rows"])
    assert found["rows"][0]["added_p50"] == pytest.approx(0.0)
    assert found["captures"] == 3
    assert cells_of(results["tokenize"], "cde process")[-1] in ("met", "missed")


def test_the_page_is_timed_beside_other_agents_and_streams_are_ramped_up(run_bench):
    results, _ = run_bench(web, "--n", "4", "--agents", "3", "--held", "10", "--no-calls")

    page = cells_of(results["web"], "progress told in the process")
    assert page[1:3] == ["3", "4"]
    assert 0 < float(page[3]) <= float(page[4])
    most = cells_of(results["web"], "10")
    assert most[1] == "0"
    assert float(most[3]) > 0


def test_reports_are_timed_beside_a_naive_scan_that_says_the_same(run_bench):
    results, _ = run_bench(reports, "--n", "4", "--captures", "3000")

    quarter = cells_of(results["reports"], reports.QUARTER)
    assert 0 < float(quarter[1]) <= float(quarter[2])
    assert float(quarter[3]) > 0 and float(quarter[4]) > 0
    assert float(cells_of(results["reports"], "rows of one capture written, begin and end")[1]) > 0


def test_the_naive_scan_disagrees_with_counts_that_are_wrong(tmp_path):
    """The control: a report that lost a day would be noticed."""
    path = tmp_path / "r.sqlite3"
    reports.build(path, 200)
    reports.counted_anew(path)
    wanted = reports.ReportRange(0, 2**40)
    agreed = reports.same(path, wanted)
    with reports.open_reports(path) as database:
        database.execute("DELETE FROM day_seconds WHERE day = (SELECT min(day) FROM day_seconds)")

    assert (agreed, reports.same(path, wanted)) == (True, False)
