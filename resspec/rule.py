"""How ops are written in a backend's source, and what an emitter makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from resspec.ops.base import Op
    from resspec.types import TensorType


@dataclass(frozen=True, slots=True)
class Rule:
    """How one op is written in a backend's source. Strings only, so no framework is needed.

    call: expression of the output. Placeholders: {x}, {y}, {z} the inputs, {xs} all of them
        separated by commas, {self} the layer that `init` made, and any leaf (attribute, derived
        number). An op of several outputs gives a sequence, unpacked by the emitter.
    init: constructor of a stateful layer, or None. `name={leaf|default}` is left out where the
        value is that default; {name} is the layer's canonical path.
    variables: (canonical local name, the backend's name, layout), layout as in "OIHW->HWIO".
    helpers: names of the backend's helper snippets that the file must then contain.
    inplace: the call where nothing else reads {x}, so that it may be written over; {inplace} of an
        `init` says the same.
    """

    call: str
    init: str | None = None
    variables: tuple[tuple[str, str, str], ...] = ()
    helpers: tuple[str, ...] = ()
    inplace: str | None = None


class Unsupported(Exception):
    """A rule's answer where the backend cannot express the op; the text is the reason."""


Types: TypeAlias = "tuple[TensorType, ...]"  # of the inputs
RuleChoice = Rule | Callable[[Any, Types], Rule]  # a function takes the ops that it stands for
RuleTable = Mapping[type["Op"], RuleChoice]


@dataclass(frozen=True, slots=True)
class Variable:
    """Where a canonical parameter lives in a backend's model, and in what layout."""

    name: str
    layout: str  # "" = as it is, else "OIHW->HWIO"


@dataclass(frozen=True, slots=True)
class Source:
    """Emitted source: stands alone, `entry` names the class or function that makes the model."""

    text: str
    entry: str
    variables: Mapping[str, Variable]  # canonical name → variable, in execution order
