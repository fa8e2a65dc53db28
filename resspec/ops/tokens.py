"""Ops that arrange positions: rows of tokens, windows, and what is learned for each position.

A sequence of tokens is a map of one row, C×1×N. Windows are a map with a row each.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from resspec.declared import Limits, arg
from resspec.ops.base import Extents, Init, Moments, Op, OpError, Param, Placed, Types, need_map, op
from resspec.ops.extent import ONE, Extent, constant, unknown
from resspec.ops.fields import MAX_EXTENT, NonNegativeInt, Pair, Sides, SidesValue, pair
from resspec.ops.reach import Reach, reduced
from resspec.types import TensorType

Step = Annotated[int, Limits(strict=True, ge=-MAX_EXTENT, le=MAX_EXTENT)]


def product(extents: Extents) -> Extent:
    """Rows times columns; unknown unless one of them is the same at every size."""
    height, width = extents
    if height.is_constant:
        return width.scaled(height.plus)
    return height if width == ONE else unknown()


class Rearranged(Op):
    """What the ops share that put positions elsewhere."""

    MOVES = True
    CHANNELS = "kept"

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        return reduced(max(inputs[0].spatial))

    def declared_stride(self) -> None:
        return None


@op("tokens")
class Tokens(Rearranged):
    """The positions of a map as one row, the columns of a row side by side.

    x: (C, H, W) → (C, 1, H·W)
    """

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map("tokens", x)
        return (x.with_spatial(1, x.height * x.width),)

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        height, width = extents[0]
        across = product(extents[0]) if width.is_constant or height.is_constant else unknown()
        return ONE, across, False


@op("grid")
class Grid(Rearranged):
    """A row of tokens as a map again, of a given size or as large as a value.

    x: (C, 1, H·W) → (C, H, W)
    Errors: one of `size` and `like` must be given, and hold as many positions.
    """

    VALUE_ARGS = ("like",)

    size: Pair | None = arg(None, "height and width of the map")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x = inputs[0]
        for one in inputs:
            need_map("grid", one)
        if (self.size is None) == (len(inputs) == 1):
            raise OpError("bad-value", "grid takes one of `size` and `like`")
        height, width = self.size or inputs[1].spatial
        if x.height != 1 or x.width != height * width:
            raise OpError(
                "shape-mismatch", f"grid: {x} is no row of {height}×{width} tokens", attr="size"
            )
        return (x.with_spatial(height, width),)

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        if self.size is None:
            return (*extents[1], False)
        return constant(self.size[0]), constant(self.size[1]), not extents[0][1].is_constant

    def declared_stride(self) -> Any:
        return None if self.size is not None else (1, 1)

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        (y,) = self.infer(*inputs)
        return {"height": y.height, "width": y.width}


@op("crop")
class Crop(Op):
    """Some rows and columns: from `top` and `left`, so many, or as many as a value has.

    x: (C, H, W) → (C, height, width)
    """

    VALUE_ARGS = ("like",)
    CHANNELS = "kept"

    top: NonNegativeInt = arg(0, "first row")
    left: NonNegativeInt = arg(0, "first column")
    height: NonNegativeInt = arg(0, "number of rows, 0: to the last")
    width: NonNegativeInt = arg(0, "number of columns, 0: to the last")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x = inputs[0]
        for one in inputs:
            need_map("crop", one)
        if len(inputs) > 1 and (self.height or self.width):
            raise OpError("bad-value", "crop takes `like`, or `height` and `width`")
        result: list[int] = []
        for axis, word in enumerate(("height", "width")):
            start, count = (self.top, self.left)[axis], getattr(self, word)
            if len(inputs) > 1:
                count = inputs[1].spatial[axis]
            count = count or x.spatial[axis] - start
            if count < 1 or start + count > x.spatial[axis]:
                raise OpError(
                    "index-range",
                    f"crop: {count} from {start} on, of a {word} of {x.spatial[axis]}",
                    attr=word,
                )
            result.append(count)
        return (x.with_spatial(result[0], result[1]),)

    def extent(self, axis: int, *inputs: Extent) -> Extent:
        if len(inputs) > 1:
            return inputs[1]
        start, count = (self.top, self.left)[axis], (self.height, self.width)[axis]
        return constant(count) if count else inputs[0].shifted(-start)

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        start = (self.top, self.left)[axis]
        return Reach(1, start, start)


@op("roll")
class Roll(Op):
    """Shift rows and columns; what leaves at one end enters at the other. Shape kept.

    Source: shifted windows, arXiv:2103.14030, figure 4.
    """

    NEEDS_MAP = True
    CHANNELS = "kept"

    shift: Annotated[tuple[Step, Step], Limits(before=pair)] = arg(
        doc="rows down and columns to the right; up and to the left below 0"
    )

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        return reduced(inputs[0].spatial[axis])

    @property
    def is_noop(self) -> bool:
        return self.shift == (0, 0)


@op("concat_columns", arity=None)
class ConcatColumns(Op):
    """Join along the width: the columns, or tokens, of one after those of the other.

    x: (C, H, W₁), (C, H, W₂) → (C, H, W₁ + W₂)
    """

    ALONE = MOVES = True
    CHANNELS = "kept"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        for x in inputs:
            need_map("concat_columns", x)
        if len({x.shape[:2] for x in inputs}) > 1:
            shapes = ", ".join(map(str, inputs))
            raise OpError("shape-mismatch", f"concat_columns: shapes differ: {shapes}")
        return (inputs[0].with_spatial(inputs[0].height, sum(x.width for x in inputs)),)

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        moving = [width for _, width in extents if not width.is_constant]
        fixed = sum(width.plus for _, width in extents if width.is_constant)
        across = constant(fixed) if not moving else unknown()
        if len(moving) == 1:
            across = moving[0].shifted(fixed)
        heights = {height for height, _ in extents}
        pins = len(heights) > 1 and any(height.is_constant for height in heights)
        return extents[0][0], across, pins

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        return Reach() if axis == 0 else reduced(sum(x.width for x in inputs))


@op("add_coordinates")
class AddCoordinates(Op):
    """Two channels more: the number of the row and that of the column, from 0.

    x: (C, H, W) → (C + 2, H, W)
    Source: arXiv:1807.03247 (there scaled to [−1, 1]).
    """

    CHANNELS: ClassVar = "mixed"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        need_map("add_coordinates", inputs[0])
        return (inputs[0].with_channels(inputs[0].channels + 2),)


@op("windows")
class Windows(Rearranged):
    """Windows of a map, a row each; their positions are the columns.

    x: (C, H, W) → (C, windows, kh·kw), windows row by row. Padding holds zeros; `cover` pads below
    and to the right up to whole windows.
    Errors: windows that stand side by side must divide what they part.
    Source: arXiv:2103.14030 (side by side), arXiv:2103.12731 (overlapping).
    """

    size: Pair = arg(doc="rows and columns of a window")
    stride: Pair | None = arg(None, "from window to window, by default its size")
    padding: Literal["cover"] | SidesValue = arg(
        (0, 0, 0, 0), "n, [vertical, horizontal], top, bottom, left, right, or cover"
    )

    @property
    def steps(self) -> tuple[int, int]:
        """From window to window."""
        return self.stride or self.size

    def sides(self, *inputs: TensorType) -> Sides:
        if self.padding != "cover":
            return self.padding
        height, width = (
            -extent % size for extent, size in zip(inputs[0].spatial, self.size, strict=True)
        )
        return (0, height, 0, width)

    def counts(self, x: TensorType) -> tuple[int, int]:
        """Windows below each other and side by side. Raises OpError."""
        need_map("windows", x)
        if self.padding == "cover" and self.steps != self.size:
            raise OpError("bad-value", "windows: `cover` takes no stride", attr="padding")
        sides, found = self.sides(x), []
        for axis, (extent, size, step) in enumerate(
            zip(x.spatial, self.size, self.steps, strict=True)
        ):
            whole = extent + sides[2 * axis] + sides[2 * axis + 1]
            word = "height" if axis == 0 else "width"
            if whole < size:
                raise OpError(
                    "size-vanishes", f"windows: one of {size} does not fit the {word} {whole}"
                )
            if step == size and whole % size:
                raise OpError(
                    "not-divisible",
                    f"windows: {size} does not divide the {word} {whole}",
                    help="`padding: cover` fills the last ones with zeros",
                    attr="size",
                )
            found.append((whole - size) // step + 1)
        return (found[0], found[1])

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        rows, columns = self.counts(inputs[0])
        return (inputs[0].with_spatial(rows * columns, self.size[0] * self.size[1]),)

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        (y,) = self.infer(*inputs)
        fixed = extents[0][0].is_constant and extents[0][1].is_constant
        return constant(y.height) if fixed else unknown(), constant(y.width), False


@op("join_windows")
class JoinWindows(Rearranged):
    """Windows that stood side by side as the map again that they were cut from.

    x: (C, windows, kh·kw) → (C, H, W), the size of `like`; what covered it is cut off
    """

    VALUE_ARGS = ("like",)

    size: Pair = arg(doc="rows and columns of a window")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if len(inputs) < 2:
            raise OpError("missing-argument", "join_windows needs `like`, the map that was cut")
        x, like = inputs
        need_map("join_windows", x)
        need_map("join_windows", like)
        rows, columns = (
            -(-extent // size) for extent, size in zip(like.spatial, self.size, strict=True)
        )
        if x.spatial != (rows * columns, self.size[0] * self.size[1]):
            raise OpError(
                "shape-mismatch",
                f"join_windows: {x} is not {rows}×{columns} windows of "
                f"{self.size[0]}×{self.size[1]}",
                attr="size",
            )
        return (x.with_spatial(*like.spatial),)

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        return (*extents[1], False)

    def declared_stride(self) -> Any:
        return (1, 1)


@op("learned")
class Learned(Op):
    """A trained map, the same for each example: a class token, a position table, a query.

    With `trained: false` no training changes it, and its numbers come with the weights alone: waves
    for positions, a mask, a transform.

    x: (C, H, W) → (channels, *size), as many channels and positions as x where nothing is said
    Params: weight (H', W', channels), normal with deviation `std`; a buffer if not `trained`.
    A table of the size of x fixes that of the network's input.
    Source: class token and positions of arXiv:2010.11929.
    """

    MOVES = IS_SOURCE = True
    MOMENTS: ClassVar[Moments] = "half"

    channels: NonNegativeInt = arg(0, "channels, 0: as the input")
    size: Pair | None = arg(None, "height and width, by default those of the input")
    std: Annotated[float, Limits(ge=0, le=1e3)] = arg(0.02, "deviation of the numbers at the start")
    trained: bool = arg(True, "whether training changes them")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        size = self.size or x.spatial
        return (TensorType((self.channels or x.channels, *size)),)

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        (y,) = self.infer(*inputs)
        start = Init("normal", self.std) if self.std else Init("zeros")
        shape = (y.height, y.width, y.channels)
        return {"weight": Param(shape, start, self.trained, role="shift")}

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        (y,) = self.infer(*inputs)
        pins = self.size is None and not all(one.is_constant for one in extents[0])
        return constant(y.height), constant(y.width), pins

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        (y,) = self.infer(*inputs)
        return {"height": y.height, "width": y.width, "out_channels": y.channels}
