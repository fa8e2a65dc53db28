"""`resspec import --outline`: what ops say is written, and a `todo` stands for all else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resspec.cli.app import run
from resspec.lift import bring
from resspec.validate import validate

torch: Any = pytest.importorskip("torch")
nn = torch.nn


class Sorted(nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, x: Any) -> Any:
        return x.sort(dim=1).values


class Mixing(nn.Module):  # type: ignore[misc, name-defined]
    """Tokens that look at one another in a manner of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Any) -> Any:
        q, k, v = self.qkv(x).chunk(3, -1)
        return (q @ k.transpose(-1, -2)).sort(-1).values @ v


class Block(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.odd = nn.Conv2d(8, 8, 3, padding=1), Sorted()
        self.norm, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return x + self.odd(self.conv2(torch.relu(self.norm(self.conv1(x)))))


class Net(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mixing, self.fc = nn.Conv2d(3, 8, 4, stride=4), Mixing(), nn.Linear(8, 4)
        self.blocks = nn.Sequential(*[Block() for _ in range(3)])

    def forward(self, x: Any) -> Any:
        x = self.blocks(self.stem(x))
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.mixing(tokens)
        x = tokens.transpose(1, 2).reshape(x.shape)
        return self.fc(x.mean((2, 3)).cumsum(1))


def test_an_outline_holds_what_ops_say_and_a_todo_for_each_other_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["import", f"{__name__}:Net", "--input", "3x32x32", "--out", str(tmp_path / "net")]
    assert run(arguments) == 1
    assert not (tmp_path / "net").exists()
    capsys.readouterr()
    assert run([*arguments, "--outline"]) == 0
    said = capsys.readouterr().out
    assert said.count("todo: ") == 3 + 2  # the same in three blocks
    assert "todo: `mixing` (Mixing): sort" in said
    path = tmp_path / "net" / "net.yaml"
    text, block = path.read_text(), (path.parent / "blocks" / "block.yaml").read_text()
    assert "depth: 3" in text
    assert "residual" in text
    assert '- todo: "odd (Sorted): sort: no op says this"' in block
    assert not (path.parent / "weights.safetensors").exists()
    for file, count in ((path, 2), (path.parent / "blocks" / "block.yaml", 1)):
        found = validate(str(file)).diagnostics
        assert [one.code for one in found] == ["todo"] * count
        lines = file.read_text().splitlines()
        assert all(one.span and "todo" in lines[one.span.line - 1] for one in found)


def test_a_network_that_is_liftable_has_no_outline(tmp_path: Path) -> None:
    network = bring.of_model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), "net")
    made = bring.outlined(network, (3, 8, 8), "net")
    assert not made.problems
    assert "todo" not in str(made.files)


def test_outlines_of_keras_models() -> None:
    keras: Any = pytest.importorskip("resspec_tensorflow.frameworks").keras
    start = keras.layers.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(start)
    x = keras.layers.Lambda(lambda x: x + 1, name="code")(x)
    model = keras.Model(start, keras.layers.ReLU()(x))
    made = bring.outlined(bring.of_model(model, "net"), (3, 16, 16), "net")
    assert '- todo: "code (Lambda): Lambda: code of its own' in made.files["net.yaml"]
    assert made.files["net.yaml"].rstrip().endswith("- act")
