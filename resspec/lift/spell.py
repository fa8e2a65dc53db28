"""How an op is written: by its role where it is the model's usual one, with what is not usual as
arguments, numbers as holes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from resspec.lift.record import Step
from resspec.ops.base import OPS, Op, Windowed, resolve_padding
from resspec.record import REQUIRED

NEVER = object()
GATES = frozenset("sigmoid hard_sigmoid softmax tanh exp tlu".split())
NOT_USUAL = frozenset("grn l2_normalize".split())
# what a number is called in a block's params
KINDS = {"out_channels": "channels", "out_features": "channels"}


@dataclass(eq=False, slots=True)
class Hole:
    """A number, which may differ between the instances of a block. `values`: by instance."""

    kind: str
    default: Any
    values: dict[int, Any]
    here: dict[int, int]  # the current value's channels, by instance
    text: Any = NEVER  # what is written in the end; NEVER: nothing

    def like(self, other: Hole) -> bool:
        return self.kind == other.kind and self.default == other.default


@dataclass(frozen=True)
class Spelling:
    """The usual convolution, norm and activation of a model: their ops and arguments."""

    roles: dict[str, Op] = field(default_factory=dict)

    def call(self, step: Step, member: int) -> tuple[str, dict[str, Any]]:
        """What a step is called, and its arguments."""
        op = step.op
        role = next((role for role, usual in self.roles.items() if _plays(op, usual)), None)
        usual = self.roles.get(role or "")
        args: dict[str, Any] = {}
        for name, info in type(op).FIELDS.items():
            value = getattr(op, name)
            default = getattr(usual, name) if usual and name in COMMON else _default(info)
            made = self._argument(step, name, value, default, member)
            if made is not NEVER:
                args[name] = made
        if op.NAME == "split":
            sizes = set(getattr(op, "sizes"))  # noqa: B009
            args.pop("chunks" if len(sizes) > 1 else "sizes", None)
        return role or op.NAME, args

    def _argument(self, step: Step, name: str, value: Any, default: Any, member: int) -> Any:
        op, channels = step.op, step.inputs[0].type.channels
        if name == "padding":
            return _padding(op, value, default)
        if name in ("groups", "stop") and op.NAME in ("softmax", "slice") and value == channels:
            return NEVER
        if name == "sizes" and op.NAME == "split":
            return list(value)
        if name == "sizes" and op.NAME == "einsum":
            return {
                word: Hole(word, None, {member: size}, {member: channels}) for word, size in value
            } or NEVER
        if isinstance(value, bool | str) or value is None:
            return NEVER if value == default else value
        value = plain(value)
        kind = name if name != "rate" else op.NAME
        return Hole(KINDS.get(kind, kind), plain(default), {member: value}, {member: channels})


COMMON = frozenset("bias eps momentum slope alpha approximate gamma affine groups".split())


def plain(value: Any) -> Any:
    """A pair of equal numbers as one, other tuples as lists."""
    if isinstance(value, tuple):
        return value[0] if len(value) in (2, 4) and len(set(value)) == 1 else list(value)
    return value


def _default(info: Any) -> Any:
    default = getattr(info, "default", info)
    return None if default is REQUIRED else default


def _padding(op: Op, value: Any, default: Any) -> Any:
    if value == default or not isinstance(op, Windowed) or isinstance(value, str):
        return NEVER if value == default else plain(value)
    for word in ("symmetric", "valid"):
        if value == resolve_padding(word, (1, 1), *op.window):
            return NEVER if word == default else word
    return plain(value)


def _plays(op: Op, usual: Op) -> bool:
    """Whether the usual op, its other arguments said, is this one."""
    if type(op) is not type(usual):
        return False
    fixed = [name for name in type(op).FIELDS if name in COMMON and name not in _SAID]
    return all(getattr(op, name) == getattr(usual, name) for name in fixed if not (
        name == "groups" and op.KIND == "conv"))  # fmt: skip


_SAID = frozenset({"bias", "gamma"})


def usual(steps: Iterable[Step]) -> Spelling:
    """What most layers of a network are."""
    convs: Counter[Op] = Counter()
    norms: Counter[Op] = Counter()
    acts: Counter[Op] = Counter()
    for step in steps:
        op = step.op
        if op.NAME in ("conv2d", "std_conv2d", "scaled_std_conv2d"):
            kept = {k: getattr(op, k) for k in ("bias", "eps", "gamma") if k in type(op).FIELDS}
            convs[type(op)(out_channels=1, kernel_size=1, **kept)] += 1
        elif op.KIND == "norm" and op.NAME not in NOT_USUAL:
            norms[op.replace(init="one") if "init" in type(op).FIELDS else op] += 1
        elif op.KIND == "activation" and op.NAME not in GATES:
            acts[op] += 1
    roles = {}
    for role, found in (("conv", convs), ("norm", norms), ("act", acts)):
        if found:
            roles[role] = found.most_common(1)[0][0]
        else:
            roles[role] = STANDARD[role]
    return Spelling(roles)


STANDARD: dict[str, Op] = {
    "conv": OPS["conv2d"](out_channels=1, kernel_size=1),
    "norm": OPS["batch_norm"](),
    "act": OPS["relu"](),
}


def defaults(spelling: Spelling) -> dict[str, Any]:
    """The `defaults:` of a model."""
    found: dict[str, Any] = {}
    for role, op in spelling.roles.items():
        standard = STANDARD[role]
        if op == standard:
            continue
        args = {
            name: plain(getattr(op, name))
            for name, info in type(op).FIELDS.items()
            if name in COMMON and getattr(op, name) != _default(info)
            and not (name == "groups" and op.KIND == "conv")
        }  # fmt: skip
        found[role] = {op.NAME: args} if args else op.NAME
    return found
