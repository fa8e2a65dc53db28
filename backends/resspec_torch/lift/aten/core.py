"""Operations as `run_decompositions` leaves them: core ATen, where they differ from the others."""

from __future__ import annotations

from typing import Any

from resspec.lift.record import Data
from resspec_torch.lift.aten.layers import conv2d, conv_transpose2d
from resspec_torch.lift.aten.norms import batch_norm, group_norm, layer_norm
from resspec_torch.lift.aten.registry import aten, flag, pair
from resspec_torch.lift.reader import Reader


@aten("convolution")
def _convolution(
    reader: Reader, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Data:  # fmt: skip
    flag(len(stride) != 2, "a convolution over other than rows and columns")
    if transposed:
        return conv_transpose2d(
            reader, x, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return conv2d(reader, x, weight, bias, stride, padding, dilation, groups)


@aten("_native_batch_norm_legit_no_training")
def _batch_norm(
    reader: Reader, x: Any, weight: Any, bias: Any, mean: Any, var: Any, momentum: float, eps: float
) -> Any:
    made = batch_norm(reader, x, weight, bias, mean, var, False, momentum, eps)
    return [made, None, None]


@aten("native_layer_norm")
def _layer_norm(reader: Reader, x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    return [layer_norm(reader, x, shape, weight, bias, eps), None, None]


@aten("native_group_norm")
def _group_norm(
    reader: Reader, x: Any, weight: Any, bias: Any, count: Any, channels: Any, places: Any,
    groups: int, eps: float,
) -> Any:  # fmt: skip
    return [group_norm(reader, x, groups, weight, bias, eps), None, None]


@aten("avg_pool_sides")
def _avg_pool_sides(reader: Reader, x: Any, kernel: Any, stride: Any, sides: Any) -> Data:
    return reader.recorder.usual(
        "avg_pool", reader.recorder.map(x), kernel_size=pair(kernel), stride=pair(stride),
        padding=tuple(sides), count_include_pad=False,
    )  # fmt: skip
