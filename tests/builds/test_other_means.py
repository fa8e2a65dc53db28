"""What a framework has no layer for, its backend computes by other means; or `validate` says so."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from collections.abc import Callable

from resspec import (
    api,
)
from resspec import backend as backends
from tests import specs
from tests.builds.twins import BACKENDS, agree, graph
from tests.commands import Result

TRANSPOSED = "model: m\ninput: [6, 5, 7]\nstem: [{{conv_transpose2d: {{out_channels: 6, {}}}}}]\n"
RANKS = """\
model: m
input: [4, 8, 8]
stem:
  - as: start
  - {OP, as: shared}
  - as: first
  - {from: start, global_avg_pool: {}}
  - flatten
  - reuse: shared
  - as: last
  - from: [first, last]
"""
SIZES = RANKS.replace("  - flatten\n", "").replace(
    "global_avg_pool: {}", "pad: {padding: [1, 0, 0, 0]}"
)
ON_BOTH_RANKS = [
    "group_norm: {groups: 2}",
    "group_norm: {groups: 2, affine: false}",
    "simple_norm: {}",
    "rms_norm: {}",
    "l2_normalize: {}",
    "layer_scale: {value: 0.5}",
    "gain: {value: 0.5}",
    "bias: {}",
    "prelu: {}",
    "softmax: {}",
    "dropout: {rate: 0.3}",
    "drop_path: {rate: 0.3}",
    "scale: {value: 2.0}",
]
AT_SEVERAL_SIZES = [
    "max_pool: {kernel_size: 3, stride: 2, padding: same}",
    "avg_pool: {kernel_size: 3, stride: 2, padding: same}",
    "avg_pool: {kernel_size: 3, stride: 2, ceil_mode: true, count_include_pad: false}",
    "max_pool: {kernel_size: 3, stride: 2, pad_value: zero, ceil_mode: true}",
    "adaptive_avg_pool: {output_size: 2}",
    "resize: {scale_factor: 2}",
    "blur_pool: {padding: same}",
    "conv_transpose2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: same, groups: 2}",
]


@pytest.mark.parametrize(
    ("groups", "dilation", "stride"), [(1, 2, 1), (2, 1, 2), (3, 2, [2, 1]), (6, [1, 2], 3)]
)
def test_transposed_convolutions_of_every_kind(
    groups: int, dilation: object, stride: object, tmp_path: Path
) -> None:
    for padding, more in itertools.product(("same", "valid", [2, 0, 1, 3]), (0, 1)):
        words = f"kernel_size: [3, 2], stride: {stride}, dilation: {dilation}, groups: {groups}"
        words += f", padding: {padding}, bias: {'true' if more else 'false'}"
        if more and padding != "same" and stride != 1:
            words += ", output_padding: [1, 0]"
        agree(TRANSPOSED.format(words), tmp_path, ("eval", "grad"))


@pytest.mark.parametrize(
    "words",
    [
        "kernel_size: 1, stride: 3, output_padding: 2, bias: true",
        "kernel_size: 2, stride: 1, dilation: 4, output_padding: 3, padding: valid, bias: true",
        "kernel_size: 1, stride: [4, 1], output_padding: [3, 0]",
    ],
)
def test_output_padding_beyond_the_window_holds_the_bias(words: str, tmp_path: Path) -> None:
    agree(TRANSPOSED.format(words), tmp_path, ("eval", "grad"))


@pytest.mark.parametrize("op", ON_BOTH_RANKS)
def test_a_layer_is_applied_to_a_map_and_to_a_vector(op: str, tmp_path: Path) -> None:
    agree(RANKS.replace("OP", op), tmp_path, ("eval", "grad"))


@pytest.mark.parametrize("op", AT_SEVERAL_SIZES)
def test_a_layer_is_applied_at_several_sizes(op: str, tmp_path: Path) -> None:
    agree(SIZES.replace("OP", op), tmp_path, ("eval", "grad"))


def test_validate_says_where_an_installed_backend_cannot(
    tmp_path: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "names", lambda: BACKENDS)
    path = specs.write(tmp_path, RANKS.replace("OP", "layer_norm: {}"), "net.yaml")

    def checked(*words: str) -> tuple[int, str]:
        code, _, err = run("validate", path, *words)
        return code, err

    code, text = checked()
    assert (code, text.count("[unsupported]")) == (0, 1)
    assert text.startswith("warning[unsupported]: the backend `torch` cannot express this")
    assert f"{path}:5:6" in text
    assert checked("--strict")[0] == 1
    code, text = checked("--backend", "torch")
    assert code == 1
    assert text.startswith("error[unsupported]: ")
    assert checked("--backend", "tensorflow") == (0, "")


def test_what_validates_without_a_warning_builds(tmp_path: Path) -> None:
    """`check` speaks for all that emitting may refuse."""
    net = graph(RANKS.replace("OP", "layer_norm: {}"), tmp_path)
    assert [one.code for one in backends.get("torch").check(net)] == ["unsupported"]
    api.source(net, "tensorflow")
