"""Vectors of float32 values for numba's kernels.

Numba adds to arrays value by value, and leaves it to LLVM to find vectors; between arrays that
might overlap it finds few. These functions load, add and store vectors, which stay in registers.
"""

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import models, register_model
from typing_extensions import override

intrinsic: Any = extending.intrinsic
FUSED = ("contract",)  # a product and a sum may be rounded once
INT = ir.IntType(32)
PIECE = 8  # values in one of the processor's registers


class Vector(types.Type):
    """Numba's type of `size` float32 values."""

    def __init__(self, size: int) -> None:
        super().__init__(name=f"Vector({size})")
        self.size = size

    @property
    def llvm(self) -> ir.VectorType:
        """LLVM's type of the same."""
        return ir.VectorType(ir.FloatType(), self.size)


@register_model(Vector)
class _Model(models.PrimitiveModel):
    @override
    def __init__(self, dmm: Any, fe_type: Vector) -> None:
        super().__init__(dmm, fe_type, fe_type.llvm)


def loader(size: int) -> Any:
    """A function `load(array, start)` that gives the `size` values from `start` on."""
    vector = Vector(size)

    @intrinsic
    def load(typing: Any, array: Any, start: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            loaded = builder.load(_address(context, builder, array, vector, *given))
            loaded.align = 4
            return loaded

        return vector(array, start), generate

    return load


@intrinsic
def store(typing: Any, array: Any, start: Any, vector: Any) -> Any:
    """Write a vector into an array from `start` on."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        address = _address(context, builder, array, vector, *given[:2])
        builder.store(given[2], address, align=4)
        return context.get_dummy_value()

    return types.none(array, start, vector), generate


@intrinsic
def add_scaled(typing: Any, total: Any, factor: Any, vector: Any) -> Any:
    """`total + factor * vector`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        product = builder.fmul(_repeated(builder, given[1], vector), given[2], flags=FUSED)
        return builder.fadd(given[0], product, flags=FUSED)

    return total(total, types.float32, total), generate


@intrinsic
def add(typing: Any, one: Any, two: Any) -> Any:
    """`one + two`."""
    return one(one, one), lambda _, builder, __, given: builder.fadd(*given)


@intrinsic
def sub(typing: Any, one: Any, two: Any) -> Any:
    """`one - two`."""
    return one(one, one), lambda _, builder, __, given: builder.fsub(*given)


@intrinsic
def relu_mask(typing: Any, decides: Any, vector: Any) -> Any:
    """0 where `decides` is 0 or less, else `vector`; both the same give ReLU, which keeps NaN."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        zero = ir.Constant(vector.llvm, None)
        return builder.select(builder.fcmp_ordered("<=", given[0], zero), zero, given[1])

    return vector(vector, vector), generate


@intrinsic
def nonzero(typing: Any, vector: Any) -> Any:
    """Bits of a uint32, the lowest first: which of 32 values are not zero, as NaN is."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        zero = ir.Constant(vector.llvm, None)
        return builder.bitcast(builder.fcmp_unordered("!=", given[0], zero), INT)

    return types.uint32(vector), generate


@intrinsic
def lowest(typing: Any, bits: Any) -> Any:
    """Position of the lowest bit of a uint64 that is set; some must be."""
    some = ir.Constant(ir.IntType(1), 1)
    return types.uint64(types.uint64), lambda _, builder, __, given: builder.cttz(given[0], some)


@intrinsic
def transpose(
    typing: Any, source: Any, start: Any, stride: Any, target: Any, to: Any, width: Any
) -> Any:
    """Copy a square of PIECE x PIECE values, transposed; `source` has its rows `stride` apart.

    `start`, `to`: where it begins in each array. `width`: distance of the target's rows.
    """

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kinds, piece = signature.args, Vector(PIECE)
        rows = []
        for at in _line(builder, given[1], given[2]):
            rows.append(builder.load(_address(context, builder, kinds[0], piece, given[0], at)))
            rows[-1].align = 4
        for step in (1, 2, 4):
            rows = _exchanged(builder, rows, step)
        for row, at in zip(rows, _line(builder, given[4], given[5]), strict=True):
            address = _address(context, builder, kinds[3], piece, given[3], at)
            builder.store(row, address, align=4)
        return context.get_dummy_value()

    return types.none(source, start, stride, target, to, width), generate


def _line(builder: Any, start: Any, stride: Any) -> list[Any]:
    places = [start]
    for _ in range(PIECE - 1):
        places.append(builder.add(places[-1], stride))
    return places


def _exchanged(builder: Any, rows: list[Any], step: int) -> list[Any]:
    """Of rows `step` apart, pairs of blocks of step x step values off the diagonal exchanged."""
    found = list(rows)
    lanes = range(PIECE)
    upper = [i if not i & step else i - step + PIECE for i in lanes]
    lower = [i + step if not i & step else i + PIECE for i in lanes]
    for i in lanes:
        if not i & step:
            for k, order in ((i, upper), (i + step, lower)):
                mask = ir.Constant(ir.VectorType(INT, PIECE), order)
                found[k] = builder.shuffle_vector(rows[i], rows[i + step], mask)
    return found


def _address(context: Any, builder: Any, array: Any, vector: Vector, value: Any, start: Any) -> Any:
    data = context.make_array(array)(context, builder, value).data
    return builder.bitcast(builder.gep(data, [start]), vector.llvm.as_pointer())


def _repeated(builder: Any, value: Any, vector: Vector) -> Any:
    empty, first = ir.Constant(vector.llvm, ir.Undefined), ir.Constant(INT, 0)
    single = builder.insert_element(empty, value, first)
    everywhere = ir.Constant(ir.VectorType(INT, vector.size), None)
    return builder.shuffle_vector(single, empty, everywhere)
