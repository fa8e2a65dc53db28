"""What a YAML file says, checked for form and frozen: models, blocks and their layers.

Values that are expressions stay text here; lowering evaluates them where they are used. The
grammar makes these records; `resspec validate` has pydantic judge them by their annotations, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from resspec.declared import Limits
from resspec.diagnostics import Span
from resspec.record import Record

ParamType = Literal["int", "float", "number", "bool", "size", "list", "choice", "block", "blocks"]
PARAM_TYPES: tuple[ParamType, ...] = get_args(ParamType)
PLAIN = (str, Span, int, float, bool, type(None))  # what holds no part


class Part(Record):
    """Base of all parts of a spec, each with where it stands."""

    span: Span


def parts(value: Any) -> Iterator[Part]:
    """Every part in a part of a spec or in a list of them, itself first, as the text has them."""
    if isinstance(value, Part):
        yield value
        held: Iterable[Any] = value.__dict__.values()
    elif isinstance(value, Mapping):
        held = value.values()
    else:
        held = value if isinstance(value, tuple | list) else ()
    for one in held:
        if one.__class__ not in PLAIN:
            yield from parts(one)


class Arg(Part):
    """A value as it was written, and where. `value` is a scalar, a list or a mapping.

    `key` is where its name stands, for what is wrong with the name.
    """

    value: Any
    key: Span | None = None


Args = Mapping[str, Arg]


class Ref(Part):
    """A call of a block, an op, a role or a block-valued param: `name` or `{name: {args}}`.

    `index` is set for `blocks[i]`, `layers` for an anonymous block given as a list.
    """

    name: str
    args: Mapping[str, Arg] = {}
    index: str | None = None
    layers: tuple[Item, ...] | None = None


class ValueRef(Part):
    """A value by name, with indices: `x`, `x[i]`."""

    name: str
    indices: tuple[str, ...] = ()


class Branch(Part):
    """One input of a merge: a named value, or layers applied to the current value."""

    ref: ValueRef | None = None
    layers: tuple[Item, ...] = ()


class Item(Part):
    """One layer of a list. `name` is its own part of the canonical parameter name, fixed by the
    text; `label` is `as`; `source` is `from`."""

    name: str = ""
    label: str | None = None
    source: tuple[ValueRef, ...] | None = None
    source_is_list: bool = False


class Call(Item):
    """A call of an op, block, role or block-valued param; `offer` holds optional arguments."""

    ref: Ref
    offer: Mapping[str, Arg] = {}


class Merge(Item):
    """add, mul, concat…: an op of several inputs, each a branch."""

    op: str
    branches: tuple[Branch, ...]


class Residual(Item):
    """Sum of a body and a shortcut (identity where none is given)."""

    body: Branch
    shortcut: Branch | None = None


class Repeat(Item):
    """A fold: each turn starts from the previous result."""

    count: Arg
    layers: tuple[Item, ...]
    index: str = "i"


class When(Item):
    """A choice made before anything inside is elaborated."""

    condition: Arg
    then: tuple[Item, ...]
    otherwise: tuple[Item, ...] = ()


class Scoped(Item):
    """A list of layers under other defaults."""

    layers: tuple[Item, ...]
    defaults: Mapping[str, Ref] = {}


class Reuse(Item):
    """A named item applied again, with its parameters."""

    target: str


class Value(Item):
    """Only names (`as`) or picks (`from`) a value."""


class ParamSpec(Part):
    """A declared parameter of a block or a model.

    `word` where its type is open and its default a bare name (`kind: dark`), which is a word
    unless something is called so; `compared` where the text compares it with a quoted word.
    """

    type: ParamType
    default: Arg | None = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    doc: str = ""
    word: bool = False
    compared: bool = False


class BlockSpec(Part):
    """A named, parametrised list of layers."""

    name: str
    doc: str = ""
    inputs: tuple[str, ...] = ()
    params: Mapping[str, ParamSpec] = {}
    let: Mapping[str, Arg] = {}
    defaults: Mapping[str, Ref] = {}
    layers: tuple[Item, ...] = ()


class BlocksEntry(Part):
    """Some blocks of a stage in a row: `{block: transition}` or `{depth: 12}`."""

    block: Ref | None = None
    depth: Arg | None = None
    args: Mapping[str, Arg] = {}


class StageSpec(Part):
    """A stage, or `count` of them: blocks, and the arguments that they and the stage block get."""

    name: str | None = None
    count: Arg | None = None
    stage: Ref | None = None
    stride: Arg | None = None
    args: Mapping[str, Arg] = {}
    blocks: Annotated[tuple[BlocksEntry, ...], Limits(min_length=1)] = ()


class ModelSpec(Part):
    """An input, a stem, stages and a head. `inherited`: keys that a base wrote for other blocks."""

    name: str
    doc: str = ""
    input: Arg
    num_classes: Arg | None = None
    params: Mapping[str, ParamSpec] = {}
    let: Mapping[str, Arg] = {}
    defaults: Mapping[str, Ref] = {}
    stem: Ref | None = None
    block: Ref | None = None
    shortcut: Arg | None = None
    stages: tuple[StageSpec, ...] = ()
    head: Ref | None = None
    outputs: Mapping[str, Branch] = {}
    blocks: Mapping[str, BlockSpec] = {}
    inherited: frozenset[str] = frozenset()
