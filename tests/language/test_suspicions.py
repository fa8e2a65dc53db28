"""What is legal and suspicious is told, and what ships is not suspicious."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api, zoo
from resspec.validate import validate
from tests import specs

HEAD = "model: m\ninput: [4, 16, 16]\n"


@pytest.mark.parametrize(
    ("text", "expected", "line"),
    [
        ("params: {spare: 3}\nstem: relu\n", "unused-param", 3),
        ("let: {spare: 3}\nstem: relu\n", "unused-param", 3),
        ("let: {spare: spare + 1}\nstem: relu\n", "unused-param", 3),
        ("stem: [relu, sigmoid]\n", "double-activation", 3),
        ("stem:\n- when: 1 > 2\n  sigmoid: {}\n- relu\n", "constant-condition", 4),
        (
            "stem:\n- {conv: {out_channels: 4, kernel_size: 1}, as: lost}\n- {from: input, relu: {}}\n",
            "dead-layer",
            4,
        ),
        (
            "block: basic\nstages: [{depth: 1, width: 4, stride: 4}]\n",
            "shrinking-stage",
            4,
        ),
        (
            "params: {k: {type: choice, choices: [a, b], default: a}}\n"
            "stem: [{when: k == 'c', relu: {}}]\n",
            "constant-condition",
            4,
        ),
        (
            "params: {k: {type: choice, choices: [a, b], default: a}}\nlet: {n: 1 if 'c' != k else 2}\n"
            "stem: [{conv: {out_channels: n, kernel_size: 1}}]\n",
            "constant-condition",
            4,
        ),
        ("stem: [{norm: {momentum: 0.99}}]\n", "odd-momentum", 3),
        ("stem:\n- norm: {momentum: 0}\n- norm: {momentum: 0}\n", "odd-momentum", 4),
        ("params: {m: 0.9}\nstem: [{norm: {momentum: m}}]\n", "odd-momentum", 3),
        ("params: {m: 0.1}\nstem:\n- norm: {momentum: 1 - m}\n", "odd-momentum", 5),
        (
            "defaults: {norm: {batch_norm: {momentum: 1}}}\nblock: bottleneck\n"
            "stages: [{depth: 3, width: 1}]\n",
            "odd-momentum",
            3,
        ),
    ],
)
def test_each_suspicion_has_its_line(tmp_path: Path, text: str, expected: str, line: int) -> None:
    (found,) = specs.load(tmp_path, HEAD + text).warnings
    assert (found.code, found.severity) == (expected, "warning")
    assert found.span is not None
    assert found.span.line == line


def test_a_param_of_a_block_counts_as_used_in_branches_not_taken(tmp_path: Path) -> None:
    block = "block: b\nparams: {k: 3}\nlayers: [{when: in_channels > 99, conv: {out_channels: 4, kernel_size: k}}, relu]\n"
    (tmp_path / "b.yaml").write_text(block)
    assert specs.load(tmp_path, HEAD + "stem: b\n").warnings == ()


def test_what_one_variant_has_no_use_for_another_may_need(tmp_path: Path) -> None:
    path = specs.write(
        tmp_path,
        HEAD
        + "params: {k: 3, spare: 1}\nstem: {conv: {out_channels: 4, kernel_size: k}}\n"
        + "variants: {plain: {stem: relu}, other: {k: 5}}\n",
        "m.yaml",
    )
    for variant in ("", "#plain", "#other"):
        (found,) = api.load(f"{path}{variant}").warnings
        assert "`spare`" in found.message
    (found,) = specs.load(tmp_path, "model: n\nextends: m.yaml\nstem: relu\n").warnings
    assert "`spare`" in found.message


@pytest.mark.parametrize("name", {str(e.path): e.name for e in reversed(zoo.models())}.values())
def test_what_ships_is_not_suspicious(name: str) -> None:
    """The first network of each file, and pydantic has nothing against it."""
    assert validate(name).diagnostics == ()
