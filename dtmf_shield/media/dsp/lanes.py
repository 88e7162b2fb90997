"""Eight float32 in one machine register, as a type of numba's: one lane for each of the eight DTMF frequencies.

numba unrolls loops of eight into scalars instead of putting them into vector registers; saying it outright makes the
front end three times as fast. LLVM lowers the operations to what the machine has (AVX, SSE, NEON). `+ - *` work on
lanes, and `*` on a float32 and lanes. Indices count elements of the flat array; nothing checks bounds.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from dtmf_shield.media.dsp.kernel import vector_kernel

_INT16, _INT32, _INT64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_WIDTH = 8
# One instruction on x86 since 2013. Written in parts LLVM finds it only where no operand is constant.
_HAS_PAIR_SUMS = bool(binding.get_host_cpu_features().get("avx2", False))
_FLOATS = ir.VectorType(ir.FloatType(), _WIDTH)
_WORDS = ir.VectorType(_INT32, _WIDTH)
_SAMPLES = ir.VectorType(_INT16, 2 * _WIDTH)


class LanesType(types.Type):
    """numba's name for eight float32 in a register."""

    def __init__(self) -> None:
        super().__init__(name="float32_lanes")


lanes: Any = LanesType()  # called with argument types it is a signature


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, front_end_type: Any) -> None:
        super().__init__(manager, front_end_type, _FLOATS)  # type: ignore[no-untyped-call]  # numba has no types


def _operation(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make a compiled operation of a function that returns numba's signature and generator."""
    return cast(Callable[..., Any], intrinsic(make))


def _place(context: Any, builder: Any, array_type: Any, array: Any, index: Any, vector: Any) -> Any:
    """Return where eight elements of `array` from `index` on lie."""
    data = context.make_array(array_type)(context, builder, array).data
    octets = builder.mul(index, ir.Constant(index.type, array_type.dtype.bitwidth // 8))
    pointer_add: Any = cgutils.pointer_add
    return pointer_add(builder, data, octets, return_type=vector.as_pointer())


def _load(builder: Any, place: Any, align: int) -> Any:
    value = builder.load(place)
    value.align = align  # no more than an element: rows of a record start anywhere
    return value


def _store(builder: Any, value: Any, place: Any) -> None:
    builder.store(value, place).align = 4


def _chosen(builder: Any, first: Any, second: Any, places: tuple[int, ...]) -> Any:
    return builder.shuffle_vector(first, second, ir.Constant(_WORDS, places))


@_operation
def load8(_typing: Any, array: Any, index: Any) -> Any:
    """Read float32 array[index : index + 8]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(
            builder, _place(context, builder, signature.args[0], arguments[0], arguments[1], _FLOATS), 4
        )

    return lanes(array, types.intp), generate


@_operation
def store8(_typing: Any, array: Any, index: Any, _value: Any) -> Any:
    """Write lanes to float32 array[index : index + 8]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], arguments[0], arguments[1], _FLOATS)
        _store(builder, arguments[2], place)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


def _pair_sums(builder: Any, left: Any, right: Any) -> Any:
    """Return int32 left[2 k] * right[2 k] + left[2 k + 1] * right[2 k + 1] of sixteen int16 each.

    Only where all four are -32768 is it too large, and then the least int32, which is nothing else's sum.
    """
    if _HAS_PAIR_SUMS:
        kind = ir.FunctionType(_WORDS, [_SAMPLES, _SAMPLES])
        declare: Any = cgutils.get_or_insert_function
        function = declare(builder.module, kind, "llvm.x86.avx2.pmadd.wd")
        return builder.call(function, [left, right])
    parts = []
    for first in (0, 1):
        places = ir.Constant(_WORDS, tuple(range(first, 2 * _WIDTH, 2)))
        factors = [
            builder.sext(builder.shuffle_vector(value, value, places), _WORDS) for value in (left, right)
        ]
        parts.append(builder.mul(*factors, flags=("nsw",)))
    return builder.add(*parts)


@_operation
def pair_products(_typing: Any, left: Any, _left_at: Any, right: Any, _right_at: Any) -> Any:
    """Return lane k = left[2 k] right[2 k] + left[2 k + 1] right[2 k + 1] of sixteen int16 from either index on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        loaded = [
            _load(
                builder,
                _place(
                    context, builder, signature.args[which], arguments[which], arguments[which + 1], _SAMPLES
                ),
                2,
            )
            for which in (0, 2)
        ]
        sums = _pair_sums(builder, *loaded)
        wrapped = builder.icmp_signed("==", sums, ir.Constant(_WORDS, (-(2**31),) * _WIDTH))
        return builder.sitofp(builder.add(sums, builder.sext(wrapped, _WORDS)), _FLOATS)  # one less: the most

    return lanes(left, types.intp, right, types.intp), generate


@_operation
def correlate10(_typing: Any, samples: Any, _at: Any, table: Any, _table_at: Any) -> Any:
    """Return lane k = sum over i < 10 of samples[at + i] * table[table_at + 16 (i // 2) + 2 k + i % 2], int16 both.

    Sums are taken in int32: no entry of the table may be above 4096 in size.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        samples, at, table, table_at = arguments
        total = None
        for pair in range(5):
            index = builder.add(at, ir.Constant(at.type, 2 * pair))
            place = _place(context, builder, signature.args[0], samples, index, _INT32)
            both = builder.insert_element(
                ir.Constant(_WORDS, ir.Undefined), _load(builder, place, 2), ir.Constant(_INT32, 0)
            )
            spread = builder.bitcast(_chosen(builder, both, both, (0,) * _WIDTH), _SAMPLES)
            index = builder.add(table_at, ir.Constant(table_at.type, 2 * _WIDTH * pair))
            row = _load(builder, _place(context, builder, signature.args[2], table, index, _SAMPLES), 2)
            sums = _pair_sums(builder, spread, row)
            total = sums if total is None else builder.add(total, sums, flags=("nsw",))
        return builder.sitofp(total, _FLOATS)

    return lanes(samples, types.intp, table, types.intp), generate


@_operation
def move_samples(
    _typing: Any, target: Any, _target_at: Any, source: Any, _source_at: Any, _count: Any
) -> Any:
    """Copy int16 source[source_at : source_at + count] to target[target_at : ...]; they may overlap.

    A loop would not be vectorised: numba lets indices be negative.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, to_at, origin, origin_at, count = arguments
        places = [
            _place(context, builder, signature.args[which], array, at, ir.VectorType(ir.IntType(8), 1))
            for which, array, at in ((0, to, to_at), (2, origin, origin_at))
        ]
        pointers = [builder.bitcast(place, ir.IntType(8).as_pointer()) for place in places]
        octets = builder.mul(count, ir.Constant(count.type, 2))
        move: Any = cgutils.raw_memmove
        move(builder, *pointers, octets, 1)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, types.intp), generate


@_operation
def splat8(_typing: Any, _value: Any) -> Any:
    """Return lanes that all hold one float32."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        undefined = ir.Constant(_FLOATS, ir.Undefined)
        single = builder.insert_element(undefined, arguments[0], ir.Constant(_INT32, 0))
        return _chosen(builder, single, undefined, (0,) * _WIDTH)

    return lanes(types.float32), generate


def _arithmetic(name: str) -> Callable[..., Any]:
    @_operation
    def compute(_typing: Any, _x: Any, _y: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(*arguments)

        return lanes(lanes, lanes), generate

    return compute


_add, _subtract, _multiply = _arithmetic("fadd"), _arithmetic("fsub"), _arithmetic("fmul")


@overload(operator.add, strict=False)
def _overload_add(x: Any, y: Any) -> Any:
    if isinstance(x, LanesType) and isinstance(y, LanesType):
        return lambda x, y: _add(x, y)  # noqa: PLW0108  # numba compiles a function, not an intrinsic
    return None


@overload(operator.sub, strict=False)
def _overload_subtract(x: Any, y: Any) -> Any:
    if isinstance(x, LanesType) and isinstance(y, LanesType):
        return lambda x, y: _subtract(x, y)  # noqa: PLW0108  # numba compiles a function, not an intrinsic
    return None


@overload(operator.mul, strict=False)
def _overload_multiply(x: Any, y: Any) -> Any:
    if isinstance(x, LanesType) and isinstance(y, LanesType):
        return lambda x, y: _multiply(x, y)  # noqa: PLW0108  # numba compiles a function, not an intrinsic
    if isinstance(x, types.Float) and isinstance(y, LanesType):
        return lambda x, y: _multiply(splat8(x), y)
    return None


@_operation
def larger8(_typing: Any, _x: Any, _y: Any) -> Any:
    """Return the larger of two lanes, lane by lane."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        x, y = arguments
        return builder.select(builder.fcmp_ordered(">", x, y), x, y)

    return lanes(lanes, lanes), generate


@_operation
def above8(_typing: Any, _x: Any, _y: Any) -> Any:
    """Return an int64 whose bit k tells whether lane k of x is above lane k of y."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        above = builder.fcmp_ordered(">", *arguments)
        return builder.zext(builder.bitcast(above, ir.IntType(_WIDTH)), _INT64)

    return types.int64(lanes, lanes), generate


def _lower(count: int) -> Callable[..., Any]:
    @_operation
    def keep(_typing: Any, _x: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            places = tuple(lane if lane < count else _WIDTH for lane in range(_WIDTH))
            return _chosen(builder, arguments[0], ir.Constant(_FLOATS, [0.0] * _WIDTH), places)

        return lanes(lanes), generate

    return keep


lower_two = _lower(2)
"""Return the lanes with all but the first two set to zero."""
lower_four = _lower(4)
"""Return the lanes with all but the first four set to zero."""
lower_five = _lower(5)
"""Return the lanes with all but the first five set to zero."""


_PAIRS = ((0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15))
_QUADS = ((0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
_HALVES = ((0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of eight rows, by exchanging singles, pairs and fours."""
    pairs = [_chosen(builder, rows[j], rows[j + 1], which) for j in (0, 2, 4, 6) for which in _PAIRS]
    quads = [
        _chosen(builder, pairs[j + k], pairs[j + k + 2], which)
        for j in (0, 4)
        for k in (0, 1)
        for which in _QUADS
    ]
    return [_chosen(builder, quads[j], quads[j + 4], which) for which in _HALVES for j in range(4)]


@_operation
def transpose8(_typing: Any, array: Any, index: Any) -> Any:
    """Transpose the 8 x 8 block of float32 at array[index : index + 64] in place."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index = arguments
        places = [
            _place(
                context,
                builder,
                signature.args[0],
                array,
                builder.add(index, ir.Constant(index.type, 8 * row)),
                _FLOATS,
            )
            for row in range(_WIDTH)
        ]
        columns = _transposed(builder, [_load(builder, place, 4) for place in places])
        for place, column in zip(places, columns, strict=True):
            _store(builder, column, place)
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@vector_kernel
def sum8(row: Any) -> Any:
    """Return the sum of float32 row[0:8]."""
    return (row[0] + row[1]) + (row[2] + row[3]) + ((row[4] + row[5]) + (row[6] + row[7]))


@vector_kernel
def sum_rows(block: Any) -> Any:
    """Return lane k = sum of row k of the 8 x 8 block of float32, which is transposed on the way."""
    transpose8(block, 0)
    lower = load8(block, 0) + load8(block, 8) + load8(block, 16) + load8(block, 24)
    return lower + load8(block, 32) + load8(block, 40) + load8(block, 48) + load8(block, 56)
