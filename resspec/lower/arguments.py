"""Arguments against what a callee declares, and pydantic's complaints in the language's terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from resspec.diagnostics import Diagnostic, Span, SpecError, did_you_mean, suggest
from resspec.language.checker import spelt
from resspec.language.expr import as_int
from resspec.language.spec import BlockSpec, Ref
from resspec.lower.env import Env, Thunk, failure, not_whole
from resspec.lower.refs import parse_ref
from resspec.lower.scope import Scope
from resspec.lower.uncalled import ROLE_DEFAULTS
from resspec.lower.values import NO_VALUE, Failed, show_value
from resspec.ops.base import OPS, Op, words
from resspec.ops.fields import MAX_EXTENT

if TYPE_CHECKING:
    from pydantic import ValidationError

T = TypeVar("T")
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
    "less_than": ("less than", "lt"),
}


def spelt_arguments(args: Mapping[str, T], spec: BlockSpec) -> dict[str, T]:
    """The arguments under the names that the block has for them today."""
    return {spelt(key, spec.params): value for key, value in args.items()}


def check_arguments(
    spec: BlockSpec,
    args: Mapping[str, Any],
    span: Span,
    env: Env,
    resolve: Callable[[Ref, Scope, Env], object],
) -> tuple[list[Diagnostic], bool]:
    """Unknown names, references that lead nowhere, missing arguments; and whether any is missing.

    A missing argument whose misspelt name is reported is not told again.
    """
    found: list[Diagnostic] = []
    meant: set[str | None] = set()
    missing = False
    for key, thunk in args.items():
        if key not in spec.params:
            near = suggest(key, spec.params)
            meant.add(near)
            help = f"its params: {', '.join(spec.params) or 'none'}"
            if near:
                help = f"did you mean `{near}`?"
            message = f"block `{spec.name}` has no param `{key}`"
            found += failure(env, "unknown-argument", message, thunk.key, help).diagnostics
        elif spec.params[key].type == "block" and isinstance(thunk, Thunk):
            try:
                resolve(parse_ref(thunk.arg), thunk.scope, env)
            except SpecError as caught:
                found += caught.diagnostics
            except Failed:
                pass
    for key, param in spec.params.items():
        if param.default is None and key not in args:
            missing = True
            if key not in meant:
                message = f"block `{spec.name}` needs `{key}`"
                help = f"write `{{{spec.name}: {{{key}: …}}}}`, or add a default to `{key}`"
                found += failure(env, "missing-argument", message, span, help).diagnostics
    return found, missing


def needless(role: str, key: str, thunk: Thunk, env: Env) -> bool:
    """Whether an argument of a role says what the op that the role is by default does anyway.

    A block that stands for the role need not take it: `dilation: 1` asks nothing of a `conv`.
    """
    op = OPS[ROLE_DEFAULTS[role]]
    if key not in op.FIELDS:
        return False
    default = op.FIELDS[key].default
    try:
        value = thunk.scope.evaluate(thunk.arg, env, NO_VALUE, words(op, key))
    except (SpecError, Failed):  # told where it is used
        return False
    if isinstance(default, tuple) and isinstance(value, int):
        value = (value,) * len(default)
    return type(value) is type(default) and value == default


def invalid(
    cls: type[Op],
    given: Mapping[str, Any],
    args: Mapping[str, Thunk],
    caught: ValidationError,
    env: Env,
    span: Span,
) -> SpecError:
    """The first complaint of pydantic about an op's arguments."""
    complaints = caught.errors(include_url=False)
    name = str(complaints[0]["loc"][0])
    # of a list that may be one number, too, what is wrong inside it says more
    own = [one for one in complaints if one["loc"][0] == name]
    complaint = max(own, key=lambda one: len(one["loc"]))
    at = args[name].span if name in args else span
    kind, value, context = complaint["type"], given.get(name), complaint.get("ctx", {})
    what, found = f"`{name}` of `{cls.NAME}`", show_value(value)
    if isinstance(value, tuple) and kind in ("missing", "too_long"):
        most = context.get("max_length") or max(
            place + 1 for one in own if isinstance(place := one["loc"][-1], int)
        )
        message = f"{what} is one number{' or two' if most == 2 else ', two or four'}"
        return failure(env, "wrong-type", f"{message}, found {found}", at)
    if kind == "missing":
        help = f"write `{{{cls.NAME}: {{{name}: …}}}}`"
        return failure(env, "missing-argument", f"op `{cls.NAME}` needs `{name}`", span, help)
    if kind == "int_type" and isinstance(value, float | tuple):
        rounding = "`round`, `floor` and `ceil` give whole numbers"
        hint = None if isinstance(value, tuple) else rounding
        return not_whole(env, name, f"{what} is a whole number", value, at, hint)
    if kind == "vanishing":
        help = f"a number that is not 0 is {context['least']:g} or more in size"
        return failure(env, "bad-value", f"{what} vanishes in float32, found {found}", at, help)
    if kind in _BOUNDS:
        phrase, key = _BOUNDS[kind]
        bound = context[key]
        shown = f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
        message = f"{what} must be {phrase} {shown}, found {found}"
        return failure(env, "bad-value", message, at)
    choices = words(cls, name)
    if choices and isinstance(value, str):
        message = f"{what} is one of {', '.join(choices)}, found {found}"
        hint = did_you_mean(value, choices)
        return failure(env, "bad-value", message, at, hint)
    if kind == "tuple_type" and cls.FIELDS[name].default != ():
        return failure(env, "wrong-type", f"{what} is a whole number or two, found {found}", at)
    if kind.startswith("bool_"):
        return failure(env, "wrong-type", f"{what} is `true` or `false`, found {found}", at)
    text = complaint["msg"].replace("Input should be", "it should be")
    return failure(env, "wrong-type", f"{what}: {text}, found {found}", at)


def counted(value: Any, what: str, span: Span, env: Env, least: int = 1) -> int:
    """A whole number from `least` to 2**20. Raises SpecError."""
    exact = whole(value)
    if exact is None:
        raise not_whole(env, what, f"`{what}` holds whole numbers", value, span)
    if not least <= exact <= MAX_EXTENT:
        message = f"`{what}` holds {exact}, and must be between {least} and {MAX_EXTENT}"
        raise failure(env, "bad-value", message, span)
    return exact


def whole(value: Any) -> int | None:
    """The exact integer of a number; None for anything else."""
    return None if isinstance(value, bool | str | tuple) else as_int(value)
