"""Constants at the ends of their ranges: refused at their line, or the same on every backend."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from resspec.diagnostics import SpecError
from tests.builds.twins import agree, graph
from tests.refused import refused

HEAD = (
    "model: m\ninput: [4, 3, 3]\nstem:\n  - {conv: {out_channels: 4, kernel_size: 1, bias: true}}"
)
REFUSED = {
    "celu: {alpha: 5e-324}": "`alpha` of `celu` vanishes in float32",
    "elu: {alpha: -1e-46}": "`alpha` of `elu` vanishes in float32",
    "leaky_relu: {slope: 1e39}": "`slope` of `leaky_relu` must be at most 1e+30",
    "batch_norm: {eps: 5e-324}": "`eps` of `batch_norm` must be at least 1e-18",
    "layer_norm: {eps: 0}": "`eps` of `layer_norm` must be at least 1e-18",
    "l2_normalize: {eps: 1e-30}": "`eps` of `l2_normalize` must be at least 1e-18",
    "batch_norm: {momentum: 1.5}": "`momentum` of `batch_norm` must be at most 1",
    "scaled_std_conv2d: {out_channels: 4, kernel_size: 1, gamma: 1e-40}": "`gamma` of",
    "layer_scale: {value: 1e-46}": "`value` of `layer_scale` vanishes in float32",
    "scale: {value: [1.0, 1e-46, 2.0, 1.0]}": "`value` of `scale` vanishes in float32",
    "shift: {value: -1e31}": "`value` of `shift` must be at least -1e+30",
    "dropout: {rate: 1.1}": "`rate` of `dropout` must be at most 1",
    "conv: {out_channels: 4, kernel_size: 1, stride: 1048576}": "conv2d: a stride of",
}
TAKEN = [
    *(f"celu: {{alpha: {alpha}}}" for alpha in ("1e-30", "0.1", "3.3", "1e30")),
    *(f"elu: {{alpha: {alpha}}}" for alpha in ("1e-30", "-0.0", "-0.1")),
    *(f"leaky_relu: {{slope: {slope}}}" for slope in ("-1e-30", "-0.0", "0.1")),
    *(f"scale: {{value: {value}}}" for value in ("1e-30", "-0.0", "[1e-30, -0.0, 0.1, 1.0]")),
    *(f"shift: {{value: {value}}}" for value in ("1e-30", "-0.0")),
    *(f"{norm}: {{eps: 1e-18}}" for norm in ("batch_norm", "l2_normalize", "rms_norm", "grn")),
    "batch_norm: {momentum: 0}",
    "batch_norm: {momentum: 1}",
    "dropout: {rate: 0}",
    "drop_path: {rate: 1}",
    "blur_pool: {kernel_size: 1, stride: 5}",
    "max_pool: {kernel_size: 1, stride: 1048576}",
    "conv: {out_channels: 4, kernel_size: 1, stride: 1024}",
    "conv: {out_channels: 4, kernel_size: 1, dilation: 100}",
]


@pytest.mark.parametrize(("op", "message"), REFUSED.items())
def test_what_float32_cannot_hold_is_refused_at_its_line(
    op: str, message: str, tmp_path: Path
) -> None:
    found = refused(graph, f"{HEAD}\n  - {{{op}}}\n", tmp_path)
    assert found.code == "bad-value"
    assert found.message.startswith(message)
    assert found.span is not None
    assert found.span.line == 5


@pytest.mark.parametrize("op", TAKEN)
def test_what_is_taken_is_one_network(op: str, tmp_path: Path) -> None:
    agree(f"{HEAD}\n  - {{{op}}}\n", tmp_path, ("eval", "grad"))


def test_zeros_between_the_lines_count_as_a_tensor(tmp_path: Path) -> None:
    """A transposed convolution of one pixel gives little, and reads its whole stride."""
    text = "model: m\ninput: [512, 1, 1]\nstem: [{conv_transpose2d: {out_channels: 4, STRIDE}}]\n"
    with pytest.raises(SpecError, match="size-limit"):
        graph(text.replace("STRIDE", "kernel_size: 2, stride: 1024, groups: 2"), tmp_path)
