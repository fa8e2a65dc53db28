"""Products of values over the axes that a pattern names."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

from resspec.declared import arg
from resspec.ops.base import Extents, Moments, Op, OpError, Placed, Types, op
from resspec.ops.extent import ONE, Extent, constant, unknown
from resspec.ops.fields import AxisSizes
from resspec.ops.pattern import Axis, Pattern, PatternError, Term, parse, solve
from resspec.ops.reach import HERE, Reach, reduced
from resspec.types import TensorType


@op("einsum", arity=None)
class Einsum(Op):
    """Sum of products over the axes of one value or two, by a pattern.

    A value is written as its channels, rows and columns. Names in brackets share an axis, the first
    slowest; a 1 is an axis of one; what the result does not have is summed over. A vector has
    channels alone. With several heads, q·k of every two positions of a row, and what follows:

        from: [q, k]
        einsum: {pattern: "(heads d) g n, (heads d) g m -> heads (g n) m", sizes: {heads: 8}}

        from: [weights, v]
        einsum: {pattern: "heads (g n) m, (heads d) g m -> (heads d) g n", sizes: {n: 49}}

    Of one value nothing is multiplied: it is rearranged, or summed over positions or channels.
    Cost:   where products are summed, the product of all sizes, as other MACs.
    Errors: axes that share a name must be equal; of names that share an axis all but one must be
            known by `sizes` or by the channels.
    Source: arXiv:1706.03762 (attention); einops, ICLR 2022 (patterns).
    """

    IS_MERGE = False
    MOVES = True
    MOMENTS: ClassVar[Moments] = "mixture"
    TEXTS: ClassVar = ("pattern",)
    TABLES: ClassVar = ("sizes",)

    pattern: str = arg(doc="`inputs -> result`, each as `(heads d) y x`")
    sizes: AxisSizes = arg((), "how large names are where the channels do not tell")

    @property
    def parsed(self) -> Pattern:
        """The pattern. Raises OpError."""
        try:
            return parse(self.pattern)
        except PatternError as caught:
            raise OpError("bad-value", f"einsum: {caught}", attr="pattern") from None

    def terms(self, *inputs: TensorType) -> list[tuple[Term, TensorType]]:
        """Each input's term with its type. Raises OpError where these are none for another."""
        pattern = self.parsed
        if len(pattern.inputs) != len(inputs):
            raise OpError(
                "tuple-unexpected",
                f"einsum: the pattern has {len(pattern.inputs)} inputs, here are {len(inputs)}",
                attr="pattern",
            )
        for term, x in zip(pattern.inputs, inputs, strict=True):
            if len(term) != len(x.shape):
                raise OpError(
                    "rank-mismatch",
                    f"einsum: `{written(term)}` is no {'map' if x.is_map else 'vector'}, its "
                    f"input is {x}",
                    attr="pattern",
                )
        if unused := [name for name, _ in self.sizes if name not in pattern.names]:
            raise OpError(
                "unknown-argument", f"einsum: the pattern has no `{unused[0]}`", attr="sizes"
            )
        return list(zip(pattern.inputs, inputs, strict=True))

    def known(self, *inputs: TensorType) -> dict[str, int]:
        """Sizes that are the same at every size of the network's input."""
        terms = [(term[0], x.channels) for term, x in self.terms(*inputs)]
        sizes, wrong = solve(terms, dict(self.sizes))
        if wrong is not None:
            raise self.uneven(*wrong, sizes)
        for term, _ in self.terms(*inputs):
            for axis in term:
                if len(open_ := [name for name in axis if name not in sizes]) > 1:
                    raise OpError(
                        "missing-argument",
                        f"einsum: nothing tells how large `{open_[0]}` and `{open_[1]}` are, "
                        f"which share `{written((axis,))}`",
                        help=f"give one of them: `sizes: {{{open_[0]}: …}}`",
                        attr="pattern",
                    )
        return sizes

    def solved(self, *inputs: TensorType) -> dict[str, int]:
        """The size of every name. Raises OpError where axes do not come out."""
        terms = [
            (axis, extent)
            for term, x in self.terms(*inputs)
            for axis, extent in zip(term, x.shape, strict=True)
        ]
        sizes, wrong = solve(terms, self.known(*inputs))
        if wrong is not None:
            raise self.uneven(*wrong, sizes)
        return sizes

    def uneven(self, axis: Axis, extent: int, sizes: dict[str, int]) -> OpError:
        """The error where an axis is not what its names make."""
        names = ", ".join(f"{name} = {sizes[name]}" for name in axis if name in sizes)
        known = all(name in sizes for name in axis)
        return OpError(
            "shape-mismatch" if known else "not-divisible",
            f"einsum: `{written((axis,))}` is {extent} here" + (f", with {names}" if names else ""),
            attr="pattern",
        )

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        sizes = self.solved(*inputs)
        shape = tuple(prod(sizes[name] for name in axis) for axis in self.parsed.output)
        return (TensorType(shape),)

    def other_macs(self, outputs: Types, *inputs: TensorType) -> int:
        sizes = self.solved(*inputs)
        added = len(inputs) > 1 and self.parsed.summed  # elementwise products are no MACs
        return prod(sizes.values()) if added else 0

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        known, pattern = self.known(*inputs), self.parsed
        sizes = self.solved(*inputs)
        found: dict[str, tuple[int, Extent]] = {}
        for term, pair in zip(pattern.inputs, extents, strict=True):
            for at, axis in enumerate(term[1:]):
                for name in axis:
                    if name in known:
                        continue
                    if pair[at].is_constant:
                        known[name] = sizes[name]
                    elif name not in found:
                        rest = prod(known[other] for other in axis if other != name)
                        found[name] = (at, pair[at].divided(rest))

        def extent(at: int, axis: Axis) -> Extent:
            times = prod(known.get(name, 1) for name in axis)
            moving = [name for name in axis if name not in known]
            if not moving:
                return constant(times)
            if len(moving) > 1 or found[moving[0]][0] != at:
                return unknown()  # a product, or rows that were columns
            return found[moving[0]][1].scaled(times)

        # channels of a size that follows the input's, or rows and columns of one that is given
        pins = any(name not in known for name in pattern.output[0]) or any(
            all(name in known for name in axis) and not pair[at].is_constant
            for term, pair in zip(pattern.inputs, extents, strict=True)
            for at, axis in enumerate(term[1:])
        )
        if len(pattern.output) == 1:
            return ONE, ONE, pins
        return extent(0, pattern.output[1]), extent(1, pattern.output[2]), pins

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        output = self.parsed.output
        if len(output) == 3 and len(output[axis + 1]) == 1:
            (name,) = output[axis + 1]
            terms = [term for term in self.parsed.inputs if len(term) == 3]
            if all(term[axis + 1] == (name,) for term in terms):
                return HERE
        return reduced(max(x.spatial[axis] for x in inputs))

    def declared_stride(self) -> None:
        return None

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        return {leaf(name): size for name, size in self.known(*inputs).items()}


def leaf(name: str) -> str:
    """What rules call the size of a name."""
    return f"{name}_size" if len(name) < 3 or name in ("pattern", "sizes", "self", "name") else name


def written(term: Term) -> str:
    """A term as in a pattern."""
    words = (
        "1" if not axis else f"({' '.join(axis)})" if len(axis) > 1 else axis[0] for axis in term
    )
    return " ".join(words)
