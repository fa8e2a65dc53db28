"""The op that CONTRIBUTING.md adds, step by step, each in the file that the step names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("torch")

import resspec
from resspec import backend
from resspec.ops import OPS, activation
from tests import specs
from tests.ops import cases
from tests.ops.lacking import lacking
from tests.ops.test_backends import test_double_precision as holds

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
NAME = "squareplus"
SPEC = """\
model: tiny
input: [3, 8, 8]
stages: []
stem:
  - conv: {out_channels: 4, kernel_size: 3}
  - squareplus: {smooth: 2}
"""


def steps() -> list[tuple[str, str, str]]:
    """Module, table ("" for a module's own text) and code of each step; none of a backend that is
    not installed."""
    section = PAGE.read_text("utf-8").partition("## Add an op")[2].partition("\n## ")[0]
    blocks = re.findall(r"```python\n# (\S+)\.py(?:: (\w+))?\n(.*?)```", section, re.DOTALL)
    found = [(path.removeprefix("backends/").replace("/", "."), *rest) for path, *rest in blocks]
    absent = {"torch", "tensorflow", "jax"}.difference(backend.names())
    return [one for one in found if one[0].split(".")[0].removeprefix("resspec_") not in absent]


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """What the op lacks after each step, all taken; afterwards it is gone."""
    found, added = [], set[str]()
    for module, table, code in steps():
        names = vars(import_module(module))
        if not table:
            before = set(names)
            exec(code, names)
            added = set(names) - before
        else:
            for key, entry in eval(f"{{{code}}}", names).items():
                monkeypatch.setitem(names[table], key, entry)
                for one in map(backend.get, backend.names()):  # whose table is made of these
                    if module.startswith(f"resspec_{one.name}."):
                        monkeypatch.setitem(one.rules, key, entry)
        found.append(list(lacking(NAME)))
    yield found
    del OPS[NAME]
    for name in added:
        delattr(activation, name)


def test_what_the_op_shown_lacks_is_named_until_it_is_whole(missing: list[list[str]]) -> None:
    rules = [f"a rule for {name}" for name in backend.names()]
    assert sorted(missing[0]) == sorted([*rules, "a case", "a reference"])
    assert [len(one) for one in missing] == list(range(len(missing)))[::-1]


@pytest.mark.usefixtures("missing")
@pytest.mark.needs("torch", "tensorflow")
def test_the_op_shown_is_the_same_on_every_backend(tmp_path: Path) -> None:
    for case in cases.CASES[NAME]:
        holds(NAME, case)
    assert "2.0" in resspec.source(str(specs.write(tmp_path, SPEC)))
