"""The recipes of docs/ci.md: their YAML is YAML, and their commands are commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from resspec.parity.endpoints import endpoint
from tests.commands import command
from tests.docs.test_docs import fences

PAGE = Path(__file__).parents[2] / "docs/ci.md"


def steps(recipe: Any) -> Iterator[str]:
    """Lines of shell, of a workflow or a pipeline."""
    if isinstance(recipe, dict):
        for key, value in recipe.items():
            if key == "run":
                yield value
            elif key == "script":
                yield from value
            else:
                yield from steps(value)
    elif isinstance(recipe, list):
        for one in recipe:
            yield from steps(one)


def commands() -> list[list[str]]:
    found = []
    for text in fences(PAGE, "yaml"):
        for line in steps(yaml.safe_load(text)):
            if line.startswith("resspec "):
                found.append(shlex.split(line.partition(" > ")[0])[1:])
    return found


def test_each_recipe_compares_places() -> None:
    github, gitlab = (yaml.safe_load(text) for text in fences(PAGE, "yaml"))
    assert {"name", "jobs"} <= set(github)
    assert all("script" in job for job in gitlab.values())
    assert sum("--between" in words for words in commands()) == 4


@pytest.mark.needs("torch", "tensorflow", "jax")
@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_exist(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With `--help` behind them they say what they do, and nothing is wrong before that."""
    assert command(words[0], "--help") == 0
    said = capsys.readouterr().out
    for option in (word for word in words if word.startswith("--")):
        assert option in said
    if "--between" in words:
        for word in words[words.index("--between") + 1].split(","):
            endpoint(word)


def test_extras_exist() -> None:
    import tomllib

    known = tomllib.loads((PAGE.parents[1] / "pyproject.toml").read_text())["project"]
    named = re.findall(r"resspec\[([a-z0-9,]+)\]", PAGE.read_text())
    assert named
    for extras in named:
        assert set(extras.split(",")) <= set(known["optional-dependencies"])


def test_the_python_is_python() -> None:
    for text in fences(PAGE, "python"):
        compile(text, "ci.md", "exec")
