"""Names for a Keras model's variables that do not change from one instance to the next."""

from __future__ import annotations

from typing import Any


def names(model: Any) -> dict[int, str]:
    """Identity of each variable → its name, unique within the model: its layer's path, then its
    own name. A path that two variables share is numbered."""
    found: dict[int, str] = {}
    taken: dict[str, int] = {}
    for variable in ordered(model):
        if id(variable) in found:
            continue
        path = variable.path
        count = taken.get(path, 0)
        taken[path] = count + 1
        found[id(variable)] = f"{path}#{count}" if count else path
    return found


def ordered(model: Any) -> list[Any]:
    """Variables that hold weights; states of random generators are left out."""
    return [variable for variable in model.variables if "seed_generator" not in variable.path]
