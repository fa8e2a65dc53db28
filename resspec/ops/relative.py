"""What attention adds for where a key stands as seen from a query.

Scores are a map, too: heads × (rows · queries) × keys, as `einsum` makes them.
"""

from __future__ import annotations

from typing import Any

from resspec.declared import arg
from resspec.ops.base import Extents, Init, Op, OpError, Param, Placed, Types, need_map, op
from resspec.ops.extent import constant
from resspec.ops.fields import Pair, PositiveInt
from resspec.ops.reach import Reach, reduced
from resspec.types import TensorType


@op("relative_bias")
class RelativeBias(Op):
    """Add to scores a trained number for each head and each way from a key to its query.

    y[h, (g q), k] = x[h, (g q), k] + weight[way, h], way = (Δrow + kh − 1)·(2·kw − 1) + Δcolumn
    + kw − 1, where Δ is the query's less the key's place in a window of kh×kw
    x: (heads, rows·kh·kw, kh·kw) → the same shape
    Params: weight ((2·kh − 1)·(2·kw − 1), heads).
    Source: Swin, arXiv:2103.14030, section 3.2; CoAtNet and MaxViT.
    """

    MOVES = True  # no position, but a table is of one width

    window: Pair = arg(doc="rows and columns that queries and keys stand in")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map("relative_bias", x)
        keys = self.window[0] * self.window[1]
        if keys == 1:  # one number a head, which frameworks would spread over scores of any size
            raise OpError(
                "bad-value",
                "relative_bias: in a window of one position there is one way",
                attr="window",
                help="write `bias`",
            )
        if x.width != keys or x.height % keys:
            raise OpError(
                "shape-mismatch",
                f"relative_bias: {x} is no scores of windows of {keys} positions",
                attr="window",
            )
        return inputs

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        ways = (2 * self.window[0] - 1) * (2 * self.window[1] - 1)
        shape = (ways, inputs[0].channels)
        return {"weight": Param(shape, Init("normal", 0.02), role="shift")}

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        ways = (2 * self.window[0] - 1) * (2 * self.window[1] - 1)
        return {"heads": inputs[0].channels, "ways": ways}

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        ((height, width),) = extents
        return height, width, not width.is_constant


@op("relative_logits")
class RelativeLogits(Op):
    """Scores of queries for where keys stand: the product with a row's and a column's vector.

    y[h, (g q), k] = Σ_d x[(h d), g, q] · (width[Δcolumn + kw − 1, d] + height[Δrow + kh − 1, d]),
    where Δ is the key's place in `keys`, kh×kw, less the query's in `window`
    x: (heads·d, rows, queries) → (heads, rows·queries, keys)
    Params: width (2·kw − 1, d), height (2·kh − 1, d).
    Cost:   the products with both tables, as other MACs.
    Source: arXiv:1904.09925; BoTNet, arXiv:2101.11605; HaloNet, arXiv:2103.12731.
    """

    PARALLEL = True
    MOVES = True

    heads: PositiveInt = arg(doc="number of heads")
    window: Pair = arg(doc="rows and columns that the queries of a row stand in")
    keys: Pair | None = arg(None, "rows and columns of their keys, by default the same")

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (x,) = inputs
        need_map("relative_logits", x)
        if x.channels % self.heads:
            raise OpError(
                "not-divisible",
                f"relative_logits: {self.heads} heads do not divide {x.channels} channels",
                attr="heads",
            )
        queries = self.window[0] * self.window[1]
        if x.width != queries:
            raise OpError(
                "shape-mismatch",
                f"relative_logits: {x} has {x.width} queries a row, the window {queries}",
                attr="window",
            )
        height, width = self.window_of_keys
        if height < self.window[0] or width < self.window[1]:
            raise OpError(
                "bad-value", "relative_logits: the window is larger than its keys'", attr="keys"
            )
        return (TensorType((self.heads, x.height * queries, height * width)),)

    @property
    def window_of_keys(self) -> tuple[int, int]:
        """Rows and columns of the keys."""
        return self.keys or self.window

    def params(self, *inputs: TensorType) -> dict[str, Param]:
        height, width = self.window_of_keys
        depth = inputs[0].channels // self.heads
        start = Init("normal", depth**-0.5)
        return {
            "width": Param((2 * width - 1, depth), start, role="conv"),
            "height": Param((2 * height - 1, depth), start, role="conv"),
        }

    def other_macs(self, outputs: Types, *inputs: TensorType) -> int:
        height, width = self.window_of_keys
        return inputs[0].size * (2 * height - 1 + 2 * width - 1)

    def placed(self, inputs: Types, *extents: Extents) -> Placed:
        height, width = self.window_of_keys
        queries = self.window[0] * self.window[1]
        pins = not extents[0][1].is_constant
        return extents[0][0].scaled(queries), constant(height * width), pins

    def reach(self, axis: int, *inputs: TensorType) -> Reach | None:
        return reduced(max(inputs[0].spatial))

    def declared_stride(self) -> None:
        return None

    def derived(self, *inputs: TensorType) -> dict[str, Any]:
        found = {"depth": inputs[0].channels // self.heads}
        return found | {"key_window": self.window_of_keys}
