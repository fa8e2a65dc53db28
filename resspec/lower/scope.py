"""What a name means where it stands: params, lets, values, roles and ambient constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from resspec.diagnostics import Span, SpecError, did_you_mean, suggest
from resspec.ir import Given
from resspec.language.checker import show, spelt
from resspec.language.evaluate import CONSTANTS
from resspec.language.expr import ExprError, as_int, number_of, parse_expr
from resspec.language.spec import Arg, Args, ParamSpec
from resspec.lower.env import AMBIENT, Blocks, Bound, Env, Named, Thunk, failure
from resspec.lower.params import Words, checked, words_of
from resspec.lower.refs import parse_ref
from resspec.lower.trace import MISSING
from resspec.lower.values import (
    NO_VALUE,
    POISON,
    Failed,
    Lost,
    Poison,
    Val,
    show_text,
    tensor,
)
from resspec.syntax import Map, Seq


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

    def inner(
        self,
        *,
        path: str | None = None,
        counters: Mapping[str, int] | None = None,
        bridge: Mapping[str, Any] | None = None,
        items: Mapping[str, Named] | None = None,
    ) -> Scope:
        """The same names with some changed; values named inside stay inside."""
        return Scope(
            self.block,
            self.path if path is None else path,
            self.env,
            self.params,
            self.args,
            self.lets,
            dict(self.values),
            self.counters if counters is None else counters,
            self.bridge if bridge is None else bridge,
            self.items if items is None else items,
            self.input,
            self.memo,
            self.is_model,
        )

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
        raw = arg.value
        if type(raw) is int or type(raw) is float:
            return raw
        return number_of(self._evaluate(raw, arg.span, env, current, words, word))

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
        spec = self.params.get(raw)
        if words and spec is not None and (spec.type == "choice" or spec.word):
            return self.param(raw, env)
        try:
            other = raw in self.bridge or raw in self.counters or raw in CONSTANTS
            if spec is not None and not other:  # the name of a param alone
                value = self.param(raw, env)
            else:
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

    def _no_word(self, raw: str, words: tuple[str, ...], span: Span, env: Env) -> SpecError:
        return failure(
            env,
            "bad-value",
            f"`{raw}` is none of {', '.join(words)}",
            span,
            did_you_mean(raw, words),
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
            return self.let(name, env)
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
            help = f"write `{name}.channels`, `{name}.height` or `{name}.width`"
            raise _Unknown(env, "wrong-type", f"`{name}` is a tensor, not a number", span, help)
        if (constant := env.constant(name)) is not MISSING:
            return self._known(name, constant, env, span)
        if name in AMBIENT:
            message = f"`{name}` has no value here: it is {AMBIENT[name]}"
            way = f"declare `{name}` under `params:` and pass it" if name != "channels" else None
            raise _Unknown(env, "undefined-ambient", message, span, way)
        if (today := spelt(name, self.params)) != name:
            return self.param(today, env)
        message = f"nothing is called `{name}` here"
        help = f"names here: {', '.join(sorted(set(self.names())))}"
        if near := suggest(name, self.names()):
            help = f"did you mean `{near}`?"
        elif near := suggest(name, self._known_words()):
            help = f"did you mean `'{near}'`? A word in an expression is quoted"
        raise _Unknown(env, "unknown-variable", message, span, help)

    def let(self, name: str, env: Env) -> Any:
        """The value of a let, which sees neither counters nor what a shortcut must bridge."""

        def compute() -> Any:
            let, plain = self.lets[name], self.inner(counters={}, bridge={})
            return plain._evaluate(let.value, let.span, self.env, NO_VALUE, ())

        return self._memo(name, env, compute)

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
        raise _Unknown(env, "undefined-ambient", message, value.span, help)

    def _attribute(self, root: str, attribute: str, env: Env, span: Span) -> Any:
        if root == "input" and (constant := env.constant("input")) is not MISSING:
            value = constant
        elif root in self.values:
            value = self.values[root]
        else:
            help = did_you_mean(root, [*self.values, "input"], "name a value with `as:`")
            raise _Unknown(env, "unknown-variable", f"no value is called `{root}` here", span, help)
        if isinstance(value, tuple):
            return tuple(getattr(tensor(part).type, attribute) for part in value)
        return getattr(tensor(value).type, attribute)

    def _channels(self, value: Val, name: str, env: Env, span: Span) -> int:
        if value is NO_VALUE:
            message = f"`{name}` has no value here: no layer has been run"
            help = None if self.is_model else "use `in_channels`"
            raise _Unknown(env, "undefined-ambient", message, span, help)
        if isinstance(value, tuple) and len(value) != 1:
            message = f"`{name}`: here are {len(value)} values, each with its own"
            help = "name the values (`inputs: [a, b]`) and write `a.channels`"
            raise _Unknown(env, "undefined-ambient", message, span, help)
        return tensor(value[0] if isinstance(value, tuple) else value).type.channels

    # -- params --------------------------------------------------------------------------

    def param(self, name: str, env: Env) -> Any:
        """The value of a param, checked against its declaration, evaluated once."""
        value = self.memo.get(name, _RUNNING)
        if value is not _RUNNING and value is not POISON:
            return value
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
            env.trace.failed.append((self.memo, name))
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
                given.arg, self.env, self.input, spec.choices, word=words_of(self, spec)
            )
            return checked(self, name, value, given.span)
        if spec.default is None:
            raise failure(env, "missing-argument", f"`{self.block}` needs `{name}`", spec.span)
        value = self.evaluate(
            spec.default, self.env, NO_VALUE, spec.choices, word=words_of(self, spec)
        )
        return checked(self, name, value, spec.default.span)

    def asked(self) -> tuple[Given, ...]:
        """The params that have been asked for, but blocks, and what others give by default."""
        found = []
        for name, spec in self.params.items():
            value = self.memo.get(name)
            if spec.type in ("block", "blocks") or not isinstance(value, PLAIN):
                continue
            given = self.args.get(name)
            if isinstance(given, Thunk):
                found.append(Given(name, value, _source(given.arg.value, value)))
            elif spec.default is not None and _source(spec.default.value, value) is None:
                found.append(Given(name, value))
        return tuple(found)

    def block_param(self, name: str, env: Env) -> Bound | Blocks | None:
        """The reference bound to a param, or None where that is no block."""
        spec = self.params[name]
        if spec.type not in ("block", "blocks"):
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
            scope = self.without(name)
        return Bound(ref, scope)

    def without(self, name: str) -> Scope:
        """The same names but for one param."""
        params = {key: param for key, param in self.params.items() if key != name}
        return replace(self, params=params)


class _Unknown(Exception):
    """A name that means nothing; may turn out to be a misspelt word."""

    def __init__(self, env: Env, code: str, message: str, span: Span, help: str | None) -> None:
        super().__init__()
        self.error = failure(env, code, message, span, help)


_RUNNING = object()
PLAIN = (bool, int, float, str, tuple)  # values of params, blocks left out


def _source(written: Any, value: Any) -> str | None:
    """An expression as it was written; None where it was a number, a list of them or a word."""
    if isinstance(written, Seq):
        parts = [one for one in written if isinstance(one, str)]
        return ", ".join(map(str, written)) if parts else None
    return written if isinstance(written, str) and written != value else None
