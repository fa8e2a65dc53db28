"""Names of the emitted functions and of their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resspec.emit.names import is_name, unique

from .snippets import HELPERS

if TYPE_CHECKING:
    from resspec.emit.program import Definition, Program

GLOBALS = ("keras", "tf", "np", "math", "functools", "sys", "annotations", "Any", "Callable")
OWN = ("name", "inputs")  # what every function may use for itself


@dataclass(frozen=True, slots=True)
class Function:
    """The function of a definition.

    `named` says whether it takes the `name` that its layers' names begin with; `arguments` maps
    the definition's visible parameters to their names in the source.
    """

    name: str
    definition: Definition
    named: bool
    arguments: Mapping[str, str]


def name_functions(program: Program) -> dict[str, Function]:
    """The function of each definition, by the definition's name, in order."""
    names: dict[str, str] = {}
    named: dict[str, bool] = {}
    taken = {*GLOBALS, *OWN, *HELPERS}
    for definition in program:
        plain = snake(definition)
        names[definition.name] = unique((plain, f"{plain}_block"), taken)
        taken.add(names[definition.name])
        named[definition.name] = any(_is_named(item, named) for item in definition.items)
    return {
        definition.name: Function(
            names[definition.name],
            definition,
            named[definition.name] and definition is not program.entry,
            _arguments(definition, {*taken, *OWN}),
        )
        for definition in program
    }


def _arguments(definition: Definition, taken: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for parameter in definition.visible:
        choices = (parameter.name, f"{parameter.name}_")
        found[parameter.name] = unique(choices, taken, found.values())
    return found


def snake(definition: Definition) -> str:
    """The block's YAML name, and what the class name adds to it: `bottleneck_projected`."""
    base, suffix = definition.form.name, _snake(definition.suffix).strip("_")
    if not (is_name(base) and base.strip("_")[:1].isalpha()):  # the class is `Model…`
        return _snake(definition.name)
    return f"{base}_{suffix}" if suffix else base


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _is_named(item: object, named: Mapping[str, bool]) -> bool:
    steps = getattr(item, "steps", None)
    if steps is not None:
        return any(_is_named(step, named) for step in steps)
    target = getattr(item, "target", None)
    if target is not None:
        return named[target]
    rule = getattr(item, "rule", None)
    return rule is not None and "{name" in f"{rule.init}{rule.call}"
