"""What every part of the grammar needs: identifiers, keys, texts, and a list of problems."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable
from typing import Any, TypeGuard

from resspec.diagnostics import Diagnostic, Span, SpecError, did_you_mean
from resspec.language.spec import Arg
from resspec.syntax import Map, Seq

RESERVED = ("in_channels", "channels", "input", "true", "false")
# Params of shipped blocks and models that had an underscore at their end: older specs say it yet.
OLDER = {f"{name}_": name for name in ("act", "depth", "gated", "layers", "residual")}
_IDENTIFIER = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]{0,63}")


def is_identifier(name: object) -> TypeGuard[str]:
    """True for what may name a block, a param or a value."""
    return (
        isinstance(name, str)
        and _IDENTIFIER.fullmatch(name) is not None
        and not keyword.iskeyword(name)
    )


_COMPUTED = re.compile(r"[A-Za-z_\"'].*[{$%+<]|^[{$%+<]")
_INDEXED_INSTEAD = {
    "a value": "`as: x` beside a `repeat` collects what its turns give, and `x[i]` is one of them; "
    "`stages[i]` is what a stage gives",
    "a stage": "`name: c` beside `count` names all of them, and `c[0]` is the first; without a "
    "name, `stages[i]` is one",
    "an item": "`reuse: x` applies what an earlier turn named `x`",
    "a call": "choose by `when`, or by a param of type `block`",
}


def spelt(key: str, names: Collection[str]) -> str:
    """The one of a callee's or a model's params that a key means, as it is spelt today."""
    today = OLDER.get(key, key)
    return today if key not in names and today in names else key


class Checker:
    """Collects problems; `finish` raises them."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []

    def finish(self) -> None:
        """Raise SpecError with every problem found, if any."""
        if self.problems:
            raise SpecError(*self.problems)

    def fail(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.problems.append(Diagnostic(code, message, span, help=help))

    def arg(self, data: Map, key: str) -> Arg:
        return Arg(value=data[key], span=data.at(key), key=data.key_at(key))

    def rest(self, data: Map, own: Collection[str]) -> dict[str, Arg]:
        return {key: self.arg(data, key) for key in data if key not in own}

    def text(self, data: Map, key: str) -> str:
        value = data.get(key, "")
        if not isinstance(value, str):
            self.fail("wrong-type", f"`{key}` is a text, found {show(value)}", data.at(key))
            return ""
        return value

    def mapping(self, data: Map, key: str) -> Iterable[tuple[str, Any]]:
        value = data.get(key)
        if value is None:
            return ()
        if not isinstance(value, Map):
            message = f"`{key}` is a mapping, found {show(value)}"
            help = "write one `name: …` a line, and no dash before it"
            self.fail("wrong-type", message, data.at(key), help)
            return ()
        return value.items()

    def identifier(self, data: Map, key: str) -> str | None:
        name = data.get(key)
        if key not in data:
            self.fail("missing-key", f"there is no `{key}:` with a name", data.span)
        elif self.named(name, data.at(key), f"a {key}"):
            return str(name)
        return None

    def named(self, name: Any, span: Span, what: str) -> bool:
        """Check an identifier."""
        if not is_identifier(name) or name in RESERVED:
            reason = (
                "the language uses that name"
                if name in RESERVED
                else "Python uses that word"
                if isinstance(name, str) and keyword.iskeyword(name)
                else "letters, digits and _ only, at most 64, no digit and no __ first"
            )
            message = f"{what} cannot be called {show(name)}: {reason}"
            spelt = re.sub(r"\W+", "_", name.strip()) if isinstance(name, str) else ""
            near = f"write `{spelt}`" if spelt != name and is_identifier(spelt) else None
            self.fail("bad-identifier", message, span, computed(name, what) or near)
            return False
        return True

    def keys(self, data: Map, known: Collection[str], where: str) -> None:
        """Refuse unknown keys, with the nearest known one."""
        for key in data:
            if key not in known:
                help = did_you_mean(key, known, f"known keys: {', '.join(known)}")
                if " " in key and data[key] is None:
                    # in {a: one, two}, `two` is a key without a value
                    help = "a comma ends a text inside {…}: quote the text that this belongs to"
                self.fail("unknown-key", f"{where} has no key `{key}`", data.key_at(key), help)

    def allow(self, raw: Map, known: Collection[str], where: str) -> None:
        for key in raw:
            if key not in known:
                self.fail("unknown-key", f"`{key}` does not go with {where}", raw.key_at(key))


def computed(name: Any, what: str = "a value") -> str | None:
    """How to say what a name with an expression in it (`x{i}`) is meant to."""
    if not isinstance(name, str) or not _COMPUTED.search(name):
        return None
    return "names are not computed: " + _INDEXED_INSTEAD.get(what, "write each one out")


def pick(data: Map, keys: Iterable[str]) -> Map:
    """The same mapping with some of its keys, positions kept."""
    chosen = Map({key: data[key] for key in keys}, span=data.span)
    chosen.key_spans = {key: data.key_at(key) for key in chosen}
    chosen.value_spans = {key: data.at(key) for key in chosen}
    return chosen


def show(value: Any) -> str:
    """A YAML value as a message quotes it."""
    if isinstance(value, Map):
        return "a mapping"
    if isinstance(value, Seq):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    text = str(value)
    return f"`{text if len(text) <= 60 else text[:57] + '…'}`"
