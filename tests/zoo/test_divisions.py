"""Shares in stock blocks come out even, or the place is told: nothing is rounded unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api
from tests import specs
from tests.refused import problems

HEAD = "model: m\ninput: [8, 16, 16]\nnum_classes: 4\n"


def told(folder: Path, text: str, *settings: str) -> list[tuple[str, str]]:
    path = specs.write(folder, HEAD + text, "m.yaml")
    return [(one.code, one.message) for one in problems(api.load, path, overrides=settings)]


def test_group_width(tmp_path: Path) -> None:
    text = "block: {regnet: {group_width: 48}}\nstages: [{depth: 1, width: 96}, {depth: 2, width: 400}]"
    ((code, message),) = told(tmp_path, text)
    assert code == "not-divisible"
    assert "48 does not divide 400" in message


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("stages: [{depth: 1, block: {preact_regnet: {group_width: 3}}, width: 8}]", "3", ),
        ("stages: [{depth: 1, block: shuffle_unit, width: 7, stride: 2}]", "2"),
    ],
)  # fmt: skip
def test_a_width_that_does_not_divide_is_refused(tmp_path: Path, text: str, wrong: str) -> None:
    assert all(f"{wrong} does not divide" in message for _, message in told(tmp_path, text))


@pytest.mark.parametrize(
    "name", ["cifar_resnet20", "wrn_28_10", "preact_resnet164", "pyramidnet110_a48"]
)
def test_a_number_of_layers_that_no_such_network_has_is_refused(name: str) -> None:
    assert "does not divide" in problems(api.load, name, overrides=["layers=57"])[0].message
