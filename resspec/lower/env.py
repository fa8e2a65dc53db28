"""What comes with a call: arguments with the scope they were written in, ambient constants, roles
and the chain of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resspec.diagnostics import Diagnostic, Note, Span, SpecError
from resspec.language.expr import Quotient
from resspec.language.spec import Arg, BlockSpec, Item, Ref
from resspec.lower.trace import MISSING, Trace
from resspec.lower.values import show_value

if TYPE_CHECKING:
    from resspec.lower.scope import Scope

AMBIENT = {
    "in_channels": "the channels of the enclosing block's input",
    "channels": "the channels of the current value",
    "out_channels": "what a shortcut must reach, known inside one",
    "stride": "the product of the strides along a residual's body, known inside its shortcut",
    "index": "the number of the block in its stage, from 0",
    "depth": "the number of blocks in the stage",
    "stage_index": "the number of the stage, from 0",
    "block_index": "the number of the block in the model, from 0",
    "num_blocks": "the number of blocks in the model",
    "depths": "the depths of all stages, a list",
    "num_classes": "the model's `num_classes`",
}
Library = Callable[[str], BlockSpec | None]  # finds a block by name, or raises SpecError
Known = Callable[[], Iterable[str]]  # names of blocks to suggest
EQUAL_PARTS = ("groups", "chunks", "block_size")  # names of numbers that split channels evenly


# What is made for every call is never changed, and not frozen: that takes three times as long.


@dataclass(slots=True, eq=False)
class Thunk:
    """An argument with the scope it was written in; evaluated where it is used."""

    arg: Arg
    scope: Scope

    @property
    def span(self) -> Span:
        return self.arg.span

    @property
    def key(self) -> Span:
        """Where the argument's name stands."""
        return self.arg.key or self.arg.span


@dataclass(slots=True, eq=False)
class Bound:
    """A reference with the scope that its names belong to."""

    ref: Ref
    scope: Scope
    ambient: Mapping[str, Any] = field(default_factory=dict)
    offer: Mapping[str, Thunk] = field(default_factory=dict)
    note: Note | None = None  # how a stage's block is called, where that says more than the line


Blocks = tuple[Bound, ...]  # the value of a param of type `blocks`


@dataclass(slots=True, eq=False)
class Env:
    """What flows from caller to callee: ambient constants, roles, and the chain of calls."""

    ambient: Mapping[str, Any]
    roles: Mapping[str, tuple[Bound, Env]]
    frames: tuple[Note, ...] = ()
    trace: Trace = field(default_factory=Trace)

    def constant(self, name: str) -> Any:
        """An ambient constant; MISSING where it has no value."""
        value = self.ambient.get(name, MISSING)
        self.trace.constant(name, value)
        return value

    def with_ambient(self, **more: Any) -> Env:
        return Env({**self.ambient, **more}, self.roles, self.frames, self.trace) if more else self

    def with_roles(self, defaults: Mapping[str, Ref], scope: Scope) -> Env:
        """Bind roles; a binding that names a role means the outer binding of it."""
        if not defaults:
            return self
        return self.meaning({role: (Bound(ref, scope), self) for role, ref in defaults.items()})

    def meaning(self, roles: Mapping[str, tuple[Bound, Env]]) -> Env:
        """The same with some roles bound."""
        return self.under({**self.roles, **roles}) if roles else self

    def under(self, roles: Mapping[str, tuple[Bound, Env]]) -> Env:
        """The same with these roles."""
        return Env(self.ambient, roles, self.frames, self.trace)

    def call(self, note: Note) -> Env:
        return Env(self.ambient, self.roles, (*self.frames, note), self.trace)

    def outside(self) -> Env:
        """As it was before the last call."""
        return Env(self.ambient, self.roles, self.frames[:-1], self.trace)


def by_name(bound: Bound, outer: Env) -> bool:
    """Whether a role stands for a name that means the same everywhere, and no more."""
    ref, scope = bound.ref, bound.scope
    plain = not ref.args and ref.index is None and ref.name not in outer.roles
    return plain and ref.name not in scope.params and ref.name not in scope.lets


@dataclass(frozen=True, slots=True)
class Named:
    """An item with a label, for `reuse`: where it was applied, and what its text could see there.

    `path` is that of the list it stands in, `counters` those of the repeats around it, `items`
    what had a label before it. `inner` where it stands in a repeat that has ended: a name of the
    list itself goes before.
    """

    item: Item
    path: str
    counters: Mapping[str, int]
    items: Mapping[str, Named]
    inner: bool = False


def failure(env: Env, code: str, message: str, span: Span, help: str | None = None) -> SpecError:
    """An error with a note for each block that leads here."""
    return SpecError(Diagnostic(code, message, span, notes=env.frames[::-1], help=help))


def not_whole(
    env: Env, name: str, message: str, value: Any, span: Span, help: str | None = None
) -> SpecError:
    """The error of a field of that name that must be a whole number."""
    if not isinstance(value, Quotient):
        message = f"{message}, found {show_value(value)}"
        return failure(env, "not-an-integer", message, span, help)
    dividend, divisor = value.parts
    code = "not-divisible" if name in EQUAL_PARTS else "not-an-integer"
    message = f"{message}, and {divisor} does not divide {dividend}"
    help = "`//` drops the remainder, if that is meant"
    return failure(env, code, message, span, None if code == "not-divisible" else help)
