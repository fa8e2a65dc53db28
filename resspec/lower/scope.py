"""What a name means where it stands: params, lets, values, roles and ambient constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from resspec.diagnostics import Diagnostic, Note, Span, SpecError, suggest
from resspec.ir import Value
from resspec.language.checker import show
from resspec.language.expr import ExprError, Quotient, Size, as_int, number_of, parse_expr
from resspec.language.grammar import Grammar
from resspec.language.spec import Arg, Args, Item, ParamSpec, Ref, ValueRef
from resspec.syntax import Map, Seq

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
EQUAL_PARTS = ("groups", "chunks", "block_size")  # names of numbers that split channels evenly


Words = Literal["never", "likely", "always"]


class Failed(Exception):
    """An item cannot be lowered and the cause is already reported: no cascade."""


@dataclass(frozen=True, slots=True)
class Poison:
    """The result of a failed item; whatever reads it fails silently."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a stride is unknown, and the layer at fault."""

    reason: str
    span: Span


Val = Value | tuple["Val", ...] | Poison
POISON = Poison()


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Bound:
    """A reference with the scope that its names belong to."""

    ref: Ref
    scope: Scope
    ambient: Mapping[str, Any] = field(default_factory=dict)
    offer: Mapping[str, Thunk] = field(default_factory=dict)
    note: Note | None = None  # how a stage's block is called, where that says more than the line


Blocks = tuple[Bound, ...]  # the value of a param of type `blocks`


@dataclass(frozen=True, slots=True)
class Env:
    """What flows from caller to callee: ambient constants, roles, and the chain of calls."""

    ambient: Mapping[str, Any]
    roles: Mapping[str, tuple[Bound, Env]]
    frames: tuple[Note, ...] = ()

    def with_ambient(self, **more: Any) -> Env:
        return replace(self, ambient={**self.ambient, **more})

    def with_roles(self, defaults: Mapping[str, Ref], scope: Scope) -> Env:
        """Bind roles; a binding that names a role means the outer binding of it."""
        if not defaults:
            return self
        bound = {role: (Bound(ref, scope), self) for role, ref in defaults.items()}
        return replace(self, roles={**self.roles, **bound})

    def call(self, note: Note) -> Env:
        return replace(self, frames=(*self.frames, note))


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


@dataclass(slots=True)
class Scope:
    """The names of one instance of a block (or of the model)."""

    block: str
    path: str
    env: Env
    params: Mapping[str, ParamSpec]
    args: Mapping[str, Thunk | Blocks]
    lets: Args
    values: dict[str, Val] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    bridge: Mapping[str, Any] = field(default_factory=dict)  # inside a shortcut
    items: Mapping[str, Named] = field(default_factory=dict)
    input: Val = POISON
    memo: dict[str, Any] = field(default_factory=dict)
    is_model: bool = False

    def inner(self, **changes: Any) -> Scope:
        """The same names with some changed; values named inside stay inside."""
        return replace(self, values=dict(self.values), memo=self.memo, **changes)

    def names(self) -> list[str]:
        """Every name that an expression here may use."""
        tuples = [name for name, value in self.values.items() if isinstance(value, tuple)]
        return [
            *self.counters,
            *self.params,
            *self.lets,
            *tuples,
            *self.env.ambient,
            "channels",
            "in_channels",
            *self.bridge,
        ]

    # -- evaluation ----------------------------------------------------------------------

    def evaluate(
        self,
        arg: Arg,
        env: Env,
        current: Val,
        words: tuple[str, ...] = (),
        *,
        word: Words = "never",
    ) -> Any:
        """The value of an argument: a number, a bool, a word or a tuple of them.

        `words` are those to choose from. `word`: what a bare name is that means nothing here: an
        error, a word if it is near no name, or a word. Raises SpecError at the argument, Failed
        where it depends on what already failed.
        """
        return number_of(self._evaluate(arg.value, arg.span, env, current, words, word))

    def _evaluate(
        self,
        raw: Any,
        span: Span,
        env: Env,
        current: Val,
        words: tuple[str, ...],
        word: Words = "never",
    ) -> Any:
        if isinstance(raw, Seq):
            parts = (
                self._evaluate(item, raw.at(i), env, current, (), word)
                for i, item in enumerate(raw)
            )
            return tuple(map(number_of, parts))
        if isinstance(raw, Map) or raw is None:
            raise failure(
                env, "wrong-type", f"expected a number or an expression, found {show(raw)}", span
            )
        if not isinstance(raw, str):
            return raw
        if raw in words:
            return raw
        if words:
            spec = self.params.get(raw)
            if spec is not None and (spec.type == "choice" or spec.word):
                return self.param(raw, env)
        try:
            value = parse_expr(raw).evaluate(lambda name: self.lookup(name, env, current, span))
        except ExprError as caught:
            if raw.isidentifier() and word == "always":  # a word that Python reserves
                return raw
            if words and raw.isidentifier():
                raise self._no_word(raw, words, span, env) from None
            whole = f"`{show_text(raw.strip())}`"
            message = caught.message if whole in caught.message else f"{whole}: {caught.message}"
            raise failure(env, caught.code, message, span, caught.help) from None
        except _Unknown as caught:
            if words and raw.isidentifier():
                raise self._no_word(raw, words, span, env) from None
            if raw.isidentifier() and self._is_word(raw, word, caught.error):
                return raw
            raise caught.error from None
        exact = as_int(value) if isinstance(value, float) else None
        return value if exact is None else exact

    def _is_word(self, raw: str, word: Words, error: SpecError) -> bool:
        if word != "likely":
            return word == "always"
        (found,) = error.diagnostics
        return found.code == "unknown-variable" and suggest(raw, self.names()) is None

    def _words(self, spec: ParamSpec) -> Words:
        """Whether a bare name given to a param may be a word."""
        if not spec.word or spec.default is None:
            return "never"
        if spec.compared:
            return "always"
        default = spec.default.value
        known = (
            default in (*self.params, *self.lets, *AMBIENT) if isinstance(default, str) else False
        )
        return "never" if known else "likely"

    def _no_word(self, raw: str, words: tuple[str, ...], span: Span, env: Env) -> SpecError:
        near = suggest(raw, words)
        return failure(
            env,
            "bad-value",
            f"`{raw}` is none of {', '.join(words)}",
            span,
            f"did you mean `{near}`?" if near else None,
        )

    def lookup(self, name: str, env: Env, current: Val, span: Span) -> Any:
        """Meaning of a name in an expression. Raises SpecError or Failed."""
        root, _, attribute = name.partition(".")
        if attribute:
            return self._attribute(root, attribute, env, span)
        if name in self.bridge:
            return self._known(name, self.bridge[name], env, span)
        if name in self.counters:
            return self.counters[name]
        if name in self.params:
            return self.param(name, env)
        if name in self.lets:
            plain, let = replace(self, counters={}, bridge={}), self.lets[name]
            return self._memo(
                name,
                env,
                lambda: plain._evaluate(let.value, let.span, self.env, NO_VALUE, ()),
            )
        if name == "channels" or (name == "in_channels" and self.is_model):
            return self._channels(current, name, env, span)
        if name == "in_channels":
            return self._channels(self.input, name, env, span)
        if name in self.values:
            value = self.values[name]
            if isinstance(value, tuple):
                return tuple(tensor(part).type.channels for part in value)
            if isinstance(value, Poison):
                raise Failed
            raise _Unknown(
                failure(
                    env,
                    "wrong-type",
                    f"`{name}` is a tensor, not a number",
                    span,
                    f"write `{name}.channels`, `{name}.height` or `{name}.width`",
                )
            )
        if name in env.ambient:
            return self._known(name, env.ambient[name], env, span)
        if name in AMBIENT:
            raise _Unknown(
                failure(
                    env,
                    "undefined-ambient",
                    f"`{name}` has no value here: it is {AMBIENT[name]}",
                    span,
                    f"declare `{name}` under `params:` and pass it" if name != "channels" else None,
                )
            )
        message = f"nothing is called `{name}` here"
        help = f"names here: {', '.join(sorted(set(self.names())))}"
        if near := suggest(name, self.names()):
            help = f"did you mean `{near}`?"
        elif near := suggest(name, self._known_words()):
            help = f"did you mean `'{near}'`? A word in an expression is quoted"
        raise _Unknown(failure(env, "unknown-variable", message, span, help))

    def _known_words(self) -> list[str]:
        """Words that params here may hold, or do by default."""
        found: list[str] = []
        for spec in self.params.values():
            value = spec.default.value if spec.default is not None and spec.word else ()
            words = [value] if isinstance(value, str) else value
            found += [*spec.choices, *(word for word in words or () if isinstance(word, str))]
        return found

    def _known(self, name: str, value: Any, env: Env, span: Span) -> Any:
        if not isinstance(value, Lost):
            return value
        message = f"`{name}` has no value in the shortcut: {value.reason}"
        help = (
            "a shortcut's stride is the product of those along the body: write the number instead"
        )
        raise _Unknown(failure(env, "undefined-ambient", message, value.span, help))

    def _attribute(self, root: str, attribute: str, env: Env, span: Span) -> Any:
        if root == "input" and "input" in env.ambient:
            value = env.ambient["input"]
        elif root in self.values:
            value = self.values[root]
        else:
            near = suggest(root, [*self.values, "input"])
            raise _Unknown(
                failure(
                    env,
                    "unknown-variable",
                    f"no value is called `{root}` here",
                    span,
                    f"did you mean `{near}`?" if near else "name a value with `as:`",
                )
            )
        if isinstance(value, tuple):
            return tuple(getattr(tensor(part).type, attribute) for part in value)
        return getattr(tensor(value).type, attribute)

    def _channels(self, value: Val, name: str, env: Env, span: Span) -> int:
        if value is NO_VALUE:
            raise _Unknown(
                failure(
                    env,
                    "undefined-ambient",
                    f"`{name}` has no value here: no layer has been run",
                    span,
                    None if self.is_model else "use `in_channels`",
                )
            )
        if isinstance(value, tuple) and len(value) != 1:
            raise _Unknown(
                failure(
                    env,
                    "undefined-ambient",
                    f"`{name}`: here are {len(value)} values, each with its own",
                    span,
                    "name the values (`inputs: [a, b]`) and write `a.channels`",
                )
            )
        return tensor(value[0] if isinstance(value, tuple) else value).type.channels

    # -- params --------------------------------------------------------------------------

    def param(self, name: str, env: Env) -> Any:
        """The value of a param, checked against its declaration, evaluated once."""
        return self._memo(name, env, lambda: self._param(name, env))

    def _memo(self, name: str, env: Env, compute: Callable[[], Any]) -> Any:
        if name in self.memo:
            value = self.memo[name]
            if value is _RUNNING:
                span = self.params[name].span if name in self.params else self.lets[name].span
                raise failure(env, "recursion-limit", f"`{name}` is defined by itself", span)
            if value is POISON:
                raise Failed
            return value
        self.memo[name] = _RUNNING
        try:
            self.memo[name] = compute()
        except BaseException:
            self.memo[name] = POISON
            raise
        return self.memo[name]

    def _param(self, name: str, env: Env) -> Any:
        spec, given = self.params[name], self.args.get(name)
        if isinstance(given, tuple):
            return given
        if spec.type in ("block", "blocks"):
            raise failure(env, "wrong-type", f"`{name}` is a block, not a number", spec.span)
        if given is not None:
            value = given.scope.evaluate(
                given.arg, self.env, self.input, spec.choices, word=self._words(spec)
            )
            return self._checked(name, spec, value, given.span)
        if spec.default is None:
            raise failure(env, "missing-argument", f"`{self.block}` needs `{name}`", spec.span)
        value = self.evaluate(
            spec.default, self.env, NO_VALUE, spec.choices, word=self._words(spec)
        )
        return self._checked(name, spec, value, spec.default.span)

    def _checked(self, name: str, spec: ParamSpec, value: Any, span: Span) -> Any:
        def wrong(expected: str, help: str | None = None) -> SpecError:
            message = f"`{name}` is {expected}"
            if spec.type in ("int", "size"):
                return not_whole(self.env, name, message, value, span, help)
            message = f"{message}, found {show_value(value)}"
            return failure(self.env, "wrong-type", message, span, help)

        number = isinstance(value, int | float) and not isinstance(value, bool)
        numbers: tuple[Any, ...] = (value,) if number else ()
        match spec.type:
            case "int":
                exact = as_int(value) if number else None
                if exact is None:
                    pair = isinstance(value, tuple) and len(value) == 2
                    help = f"a pair needs `{name}: {{type: size}}` in block `{self.block}`"
                    raise wrong("a whole number", help if pair and not self.is_model else None)
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
                near = suggest(str(value), spec.choices)
                raise failure(
                    self.env,
                    "bad-value",
                    f"`{name}` is one of {', '.join(spec.choices)}, found {show_value(value)}",
                    span,
                    f"did you mean `{near}`?" if near else None,
                )
            case _:
                pass
        for bound, low in ((spec.min, True), (spec.max, False)):
            if bound is not None and any(n < bound if low else n > bound for n in numbers):
                raise failure(
                    self.env,
                    "bad-value",
                    f"`{name}` is {show_value(value)}, and must be at "
                    f"{'least' if low else 'most'} {bound:g}",
                    span,
                )
        return value

    def block_param(self, name: str, env: Env) -> Bound | Blocks | None:
        """The reference bound to a block-valued param, or None where there is no such param."""
        spec = self.params.get(name)
        if spec is None or spec.type not in ("block", "blocks"):
            return None
        given = self.args.get(name)
        if isinstance(given, tuple):
            return given
        thunk = given or (Thunk(spec.default, self) if spec.default is not None else None)
        if thunk is None:
            raise failure(
                env, "missing-argument", f"`{self.block}` needs the block `{name}`", spec.span
            )
        ref, scope = parse_ref(thunk.arg), thunk.scope
        if given is None and ref.name == name:  # its own name is what it means outside
            scope = replace(
                self, params={key: self.params[key] for key in self.params if key != name}
            )
        return Bound(ref, scope)


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


class _Unknown(Exception):
    """A name that means nothing; may turn out to be a misspelt word."""

    def __init__(self, error: SpecError) -> None:
        super().__init__()
        self.error = error


_RUNNING = object()
NO_VALUE = Poison()  # "no current value", as opposed to one that failed


def tensor(value: Val) -> Value:
    """The one tensor; raises Failed for what failed."""
    if isinstance(value, Value):
        return value
    raise Failed


def flat(value: Val) -> tuple[Value, ...]:
    """Every tensor of a value, tuples spliced. Raises Failed."""
    if isinstance(value, tuple):
        return tuple(part for item in value for part in flat(item))
    return (tensor(value),)


def parse_ref(arg: Arg) -> Ref:
    """The reference that an argument of type block holds."""
    grammar = Grammar()
    ref = grammar.ref(arg.value, arg.span)
    grammar.finish()
    assert ref is not None
    return ref


def parse_value_ref(arg: Arg) -> ValueRef:
    """The value that an argument names."""
    grammar = Grammar()
    ref = grammar.value_ref(arg.value, arg.span)
    grammar.finish()
    assert ref is not None
    return ref


def show_text(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"


def show_value(value: Any) -> str:
    """A value of the language as messages write it."""
    value = number_of(value)
    if isinstance(value, tuple):
        return f"[{', '.join(show_value(item).strip('`') for item in value)}]"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


__all__ = ["POISON", "Bound", "Env", "Failed", "Poison", "Scope", "Thunk", "Val"]
