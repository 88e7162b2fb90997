"""Eight float32 in a register against NumPy, at the edges of int16 too, and on machines without AVX2."""

import numba
import numpy as np
import pytest

from dtmf_shield.media.dsp import lanes
from dtmf_shield.media.dsp.kernel import vector_kernel
from dtmf_shield.media.dsp.lanes import (
    above8,
    correlate10,
    larger8,
    load8,
    lower_four,
    lower_two,
    move_samples,
    pair_products,
    splat8,
    store8,
    sum8,
    sum_rows,
    transpose8,
)
from dtmf_shield.media.dsp.tables import HOP_COSINES, HOP_SCALE

EXTREMES = {
    "least": np.full(32, -32768, np.int16),
    "most": np.full(32, 32767, np.int16),
    "alternating": np.resize(np.array([-32768, 32767], np.int16), 32),
    "random": np.random.default_rng(1).integers(-32768, 32768, 32).astype(np.int16),
}


@vector_kernel
def compute(x, y, out):
    store8(out, 0, load8(x, 0) + load8(y, 0))
    store8(out, 8, load8(x, 0) - load8(y, 0))
    store8(out, 16, load8(x, 0) * load8(y, 0))
    store8(out, 24, np.float32(0.5) * load8(y, 0))
    store8(out, 32, larger8(load8(x, 0), load8(y, 0)))
    store8(out, 40, lower_two(load8(x, 0)))
    store8(out, 48, lower_four(load8(x, 0)))
    store8(out, 56, splat8(y[3]))
    return above8(load8(x, 0), load8(y, 0)), sum8(x)


@vector_kernel
def transpose(block, at):
    transpose8(block, at)


@vector_kernel
def add_rows(block, out):
    store8(out, 0, sum_rows(block))


@vector_kernel
def move(target, target_at, source, source_at, count):
    move_samples(target, target_at, source, source_at, count)


def multiply_pairs(left, right, table, out):
    store8(out, 0, pair_products(left, 3, right, 7))
    store8(out, 8, correlate10(left, 5, table, 0))


with_this_machine = vector_kernel(multiply_pairs)


def slow_pairs(left, right, table):
    products = left[3:19].astype(np.int64) * right[7:23].astype(np.int64)
    rows = table.astype(np.int64).reshape(5, 8, 2).transpose(0, 2, 1).reshape(10, 8)
    return np.concatenate([products.reshape(8, 2).sum(axis=1), left[5:15].astype(np.int64) @ rows])


def test_arithmetic_comparison_and_selection_work_lane_by_lane():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 8)).astype(np.float32)
    x[2] = y[2]  # neither is above
    out = np.zeros(64, np.float32)

    bits, total = compute(x, y, out)

    lower = np.concatenate([x[:2], np.zeros(6), x[:4], np.zeros(4)])
    wanted = np.concatenate([x + y, x - y, x * y, 0.5 * y, np.maximum(x, y), lower, np.full(8, y[3])])
    assert np.allclose(out, wanted, rtol=1e-6)
    assert bits == sum(1 << k for k in range(8) if x[k] > y[k])
    assert total == pytest.approx(float(np.sum(x)), rel=1e-5)


def test_nan_is_above_nothing():
    x = np.full(8, np.nan, np.float32)

    assert compute(x, np.zeros(8, np.float32), np.zeros(64, np.float32))[0] == 0
    assert compute(np.zeros(8, np.float32), x, np.zeros(64, np.float32))[0] == 0


def test_a_block_is_transposed_in_place_and_nothing_beside_it():
    block = np.arange(80, dtype=np.float32)

    transpose(block, 8)

    assert np.array_equal(block[8:72].reshape(8, 8), np.arange(8, 72).reshape(8, 8).T)
    assert np.array_equal(block[:8], np.arange(8)) and np.array_equal(block[72:], np.arange(72, 80))


def test_rows_are_summed():
    block = np.random.default_rng(3).integers(-999, 999, 64).astype(np.float32)
    wanted, out = block.reshape(8, 8).sum(axis=1), np.zeros(8, np.float32)

    add_rows(block, out)

    assert np.array_equal(out, wanted)


@pytest.mark.parametrize(
    ("target_at", "source_at", "count"), [(0, 13, 40), (13, 0, 40), (5, 5, 9), (1, 2, 0)]
)
def test_samples_move_within_one_array_as_if_copied_first(target_at, source_at, count):
    samples = np.arange(60, dtype=np.int16)
    wanted = samples.copy()
    wanted[target_at : target_at + count] = samples[source_at : source_at + count]

    move(samples, target_at, samples, source_at, count)

    assert np.array_equal(samples, wanted)


@pytest.mark.parametrize("left", EXTREMES.values(), ids=EXTREMES)
@pytest.mark.parametrize("right", EXTREMES.values(), ids=EXTREMES)
def test_sums_of_pairs_are_those_of_int64_even_at_the_ends_of_int16(left, right):
    """Twice the square of -32768 is one more than int32 holds: clipped sound must not lose its energy."""
    out = np.zeros(16, np.float32)

    with_this_machine(left, right, HOP_COSINES, out)

    assert np.allclose(out, slow_pairs(left, right, HOP_COSINES), rtol=1e-6)


def test_a_table_of_the_largest_numbers_stays_within_int32():
    table = np.full(80, HOP_SCALE, np.int16)
    out = np.zeros(16, np.float32)

    for samples in EXTREMES.values():
        with_this_machine(samples, samples, table, out)

        assert np.allclose(out[8:], slow_pairs(samples, samples, table)[8:], rtol=1e-6)


def test_a_machine_without_the_pair_instruction_finds_the_same(monkeypatch):
    has_it = lanes._HAS_PAIR_SUMS
    monkeypatch.setattr(lanes, "_HAS_PAIR_SUMS", False)
    portable = numba.njit(multiply_pairs)
    here, there = np.zeros(16, np.float32), np.zeros(16, np.float32)

    for left in EXTREMES.values():
        for right in EXTREMES.values():
            portable(left, right, HOP_COSINES, there)
            monkeypatch.setattr(lanes, "_HAS_PAIR_SUMS", has_it)
            with_this_machine(left, right, HOP_COSINES, here)
            assert np.array_equal(here, there)

    text = next(iter(portable.inspect_llvm().values()))
    assert "avx2.pmadd" not in text  # the flag was heeded
