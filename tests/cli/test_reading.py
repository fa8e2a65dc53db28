"""Command lines as they are read without typer: to the same arguments, or left to it."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from resspec.cli.app import HOMES, command
from resspec.cli.full import program
from resspec.cli.options import Unread, read
from tests.commands import python

RIGHT = """
summarize resnet18
summarize resnet18 mine.yaml --level stage --format=json --input 3x64x64
summarize --set stages.2.depth=3 --set a=b=c resnet18 --limit nodes=3 --path . --path ..
validate a.yaml b.yaml --strict -b torch
source resnet18 -b tensorflow -o model.py --force
build resnet18 --batch 4 --seed 007 --partial --adapt-input sum --out here
draw resnet18 -o net.svg
parity --all --lr 1e-3 --steps 2 --max-params 0
parity resnet18 resnet34 --lr 0.5 --python torch=a --python tensorflow=b
port w.pth --spec resnet18 --out w.safetensors --from torch --no-check
port w.pth --spec resnet18 --out w.safetensors --check
list
list ops codes --family=
show resnet18 conv2d
explain
explain shape-mismatch --format json
schema
"""
LEFT = """
summarize
summarize resnet18 --help
summarize resnet18 --nonsense
summarize resnet18 --level
summarize resnet18 --level --format
summarize resnet18 --level stage --level block
summarize -- resnet18
build resnet18 other
build resnet18 --batch 0
build resnet18 --batch 1.5
build resnet18 --batch -1
build resnet18 --partial=yes
build resnet18 -btorch
parity resnet18 --lr nan
port w.pth --spec resnet18
"""


@pytest.mark.parametrize("line", RIGHT.strip().splitlines())
def test_what_is_right_is_read_as_typer_reads_it(line: str) -> None:
    name, *words = line.split()
    called: list[dict[str, Any]] = []

    @functools.wraps(command(name))
    def recorded(**arguments: Any) -> None:
        called.append(arguments)

    commands = {one: command(one) for one in HOMES} | {name: recorded}
    program(commands)([name, *words], prog_name="resspec", standalone_mode=False)
    found = read(command(name), words)
    assert {key: value or None for key, value in found.items()} == {
        key: value or None for key, value in called[0].items()
    }
    assert all(type(found[key]) is type(value) for key, value in called[0].items() if value)


@pytest.mark.parametrize("line", LEFT.strip().splitlines())
def test_what_may_be_wrong_is_left_to_typer(line: str) -> None:
    name, *words = line.split()
    with pytest.raises(Unread):
        read(command(name), words)


def test_summarize_starts_without_what_it_does_not_need() -> None:
    code = """\
import sys
from resspec.cli.app import run
assert run(["summarize", "resnet18"]) == 0
heavy = ("typer", "click", "pydantic", "rich", "numpy", "importlib.metadata", "torch", "tensorflow")
print([name for name in heavy if name in sys.modules])
"""
    assert python("-c", code).out.splitlines()[-1] == "[]"
