"""What a declared param may be, and what a bare word given to one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from resspec.diagnostics import Span, SpecError, did_you_mean
from resspec.language.expr import Size, as_int
from resspec.language.spec import ParamSpec
from resspec.lower.env import AMBIENT, failure, not_whole
from resspec.lower.values import show_value

if TYPE_CHECKING:
    from resspec.lower.scope import Scope

Words = Literal["never", "likely", "always"]


def checked(scope: Scope, name: str, value: Any, span: Span) -> Any:
    """The value of a param as it is declared to be. Raises SpecError."""
    spec = scope.params[name]

    def wrong(expected: str, help: str | None = None) -> SpecError:
        message = f"`{name}` is {expected}"
        if spec.type in ("int", "size"):
            return not_whole(scope.env, name, message, value, span, help)
        message = f"{message}, found {show_value(value)}"
        return failure(scope.env, "wrong-type", message, span, help)

    number = isinstance(value, int | float) and not isinstance(value, bool)
    numbers: tuple[Any, ...] = (value,) if number else ()
    match spec.type:
        case "int":
            exact = as_int(value) if number else None
            if exact is None:
                pair = isinstance(value, tuple) and len(value) == 2
                help = f"a pair needs `{name}: {{type: size}}` in block `{scope.block}`"
                raise wrong("a whole number", help if pair and not scope.is_model else None)
            value = exact
        case "float" if not number:
            raise wrong("a number")
        case "number" if spec.word and isinstance(value, str):
            pass
        case "number" if not isinstance(value, int | float):
            raise wrong("a number")
        case "bool" if not isinstance(value, bool):
            raise wrong("true or false")
        case "list" if not isinstance(value, tuple):
            raise wrong("a list")
        case "size":
            parts = value if isinstance(value, tuple) else (value, value)
            whole = [part for p in parts if (part := as_int(p)) is not None]
            if not len(parts) == len(whole) == 2:
                raise wrong("a whole number or a pair of them")
            value = numbers = Size(whole)
        case "choice" if value not in spec.choices:
            raise failure(
                scope.env,
                "bad-value",
                f"`{name}` is one of {', '.join(spec.choices)}, found {show_value(value)}",
                span,
                did_you_mean(str(value), spec.choices),
            )
        case _:
            pass
    for bound, low in ((spec.min, True), (spec.max, False)):
        if bound is not None and any(n < bound if low else n > bound for n in numbers):
            raise failure(
                scope.env,
                "bad-value",
                f"`{name}` is {show_value(value)}, and must be at "
                f"{'least' if low else 'most'} {bound:g}",
                span,
            )
    return value


def words_of(scope: Scope, spec: ParamSpec) -> Words:
    """Whether a bare name given to a param may be a word."""
    if not spec.word or spec.default is None:
        return "never"
    if spec.compared:
        return "always"
    default = spec.default.value
    known = default in (*scope.params, *scope.lets, *AMBIENT) if isinstance(default, str) else False
    return "never" if known else "likely"
