"""Group norms that nothing trained comes before, where channels lie last in memory: PyTorch's own
gradient of one crashes there, on a CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.commands import python

FIRST = {
    "of an image": ("stem: [{group_norm: {groups: 1}}]", 3),
    "behind a norm of positions": ("stem: [{layer_norm: {affine: false}}, {group_norm: "
    "{groups: 3}}, relu]", 3),
    "of one channel": ("stem: [{layer_norm: {affine: false}}, {group_norm: {groups: 1}}]", 1),
    "applied again": ("stem: [{group_norm: {groups: 1}, as: n}, {reuse: n}]", 3),
}  # fmt: skip
TRAIN = """
import sys, torch, resspec
model = resspec.build(sys.argv[1], backend="torch").train()
x = torch.rand(2, int(sys.argv[2]), 4, 6).contiguous(memory_format=torch.channels_last)
for one in (model, torch.jit.script(model)):
    one(x).square().sum().backward()
print(sum(p.grad is not None for p in model.parameters()))
"""


@pytest.mark.parametrize(("text", "channels"), FIRST.values(), ids=FIRST)
def test_a_network_that_begins_with_a_group_norm_trains(
    text: str, channels: int, tmp_path: Path
) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(f"model: net\ninput: [{channels}, 4, 6]\n{text}\n")
    done = python("-c", TRAIN, spec, channels)  # a crash is that process's own
    assert done.out.strip() == "2"
