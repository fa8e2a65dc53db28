"""Lists of layers: calls, combinators, conditions and values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Any

from resspec.diagnostics import Span, did_you_mean, suggest
from resspec.language.checker import Checker, computed, is_identifier, pick, show
from resspec.language.spec import (
    Arg,
    Branch,
    Call,
    Item,
    Merge,
    Ref,
    Repeat,
    Residual,
    Reuse,
    Scoped,
    Value,
    ValueRef,
    When,
)
from resspec.ops.base import OPS
from resspec.syntax import Map, Seq

ROLES = ("conv", "norm", "act")
COMBINATORS = ("residual", "repeat", "reuse")
MODIFIERS = ("as", "from", "when", "then", "else", "offer", "defaults", "index", "layers")
_OTHERWISE = {
    "if": "write `when: condition`, and beside it `then: […]`",
    "elif": "write `else:` with a `when:` in it",
    "for": "write `repeat: 2` and, beside it, `layers: […]`",
    "while": "write `repeat: 2` and, beside it, `layers: […]`",
}
_INDEXED = re.compile(r"\s*([A-Za-z_]\w*)((?:\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\])*)\s*")
_INDEX = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")


def merge_ops() -> tuple[str, ...]:
    """Ops of several inputs, written with a list of branches."""
    return tuple(filter(merges, OPS))


def merges(name: str) -> bool:
    """Whether it is one of them."""
    return name in OPS and OPS[name].ARITY is None and OPS[name].IS_MERGE


class LayerGrammar(Checker):
    """Parses layers. An item's name comes from its place in the text, counted by word."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def layers(self, raw: Any, span: Span) -> tuple[Item, ...]:
        """A list of layers; one layer alone may stand without a list."""
        if isinstance(raw, str | Map):
            item = self.item(raw, span)
            return () if item is None else (item,)
        if not isinstance(raw, Seq):
            self.fail("wrong-type", f"layers are a list, found {show(raw)}", span)
            return ()
        found = [self.item(item, raw.at(i)) for i, item in enumerate(raw)]
        return tuple(item for item in found if item is not None)

    def item(self, raw: Any, span: Span) -> Item | None:
        if isinstance(raw, str):
            ref = self.ref(raw, span)
            return None if ref is None else Call(span=span, name=self.call_name(ref), ref=ref)
        if not isinstance(raw, Map):
            self.fail(
                "wrong-type", f"a layer is a name or `name: {{arguments}}`, found {show(raw)}", span
            )
            return None
        if "when" in raw:
            return self.when(raw, span)
        verbs = [key for key in raw if key not in MODIFIERS]
        if len(verbs) > 1:
            self.two_verbs(raw, verbs)
            return None
        common = self.common(raw, span)
        if not verbs:
            if "layers" in raw:
                self.allow(raw, ("as", "from", "defaults", "layers"), "a list under `defaults`")
                return Scoped(
                    layers=self.layers(raw["layers"], raw.at("layers")),
                    defaults=self.defaults(raw),
                    **common,
                )
            self.allow(raw, ("as", "from"), "a value")
            if not raw.keys() & {"as", "from"}:
                self.fail("missing-key", "this item names no layer", span)
                return None
            return Value(**common)
        verb = verbs[0]
        args, at = raw[verb], raw.at(verb)
        common["span"] = raw.key_at(verb)
        if (said := verb.split(None, 1)[0] if verb.strip() else "") in _OTHERWISE:
            message = f"`{said}` is no word of the language"
            self.fail("unknown-key", message, raw.key_at(verb), _OTHERWISE[said])
            return None
        if verb == "repeat":
            self.allow(raw, ("as", "from", "index", "layers", "repeat"), "`repeat`")
            name = common["label"] or self.count("repeat")
            if "layers" not in raw:
                help = "write `repeat: 2` and, beside it, `layers: […]`"
                self.fail("missing-key", "`repeat` has no `layers`", raw.key_at(verb), help)
                return None
            index = raw.get("index", "i")
            self.named(index, raw.at("index"), "an index")
            return Repeat(
                count=Arg(value=args, span=at),
                index=str(index),
                layers=self.layers(raw["layers"], raw.at("layers")),
                **common | {"name": name},
            )
        if verb == "reuse":
            self.allow(raw, ("as", "from", "reuse"), "`reuse`")
            if not is_identifier(args):
                message = f"`reuse` takes the name of an item, found {show(args)}"
                self.fail("wrong-type", message, at, computed(args, "an item"))
                return None
            return Reuse(target=args, **common)
        if verb == "todo":
            self.allow(raw, ("as", "from", "todo"), "`todo`")
            said = " ".join(args.split()) if isinstance(args, str) else show(args)
            self.fail(
                "todo",
                f"to be done: {said}",
                raw.key_at(verb),
                "write layers that do the same in its place",
            )
            return Value(**common)
        if verb == "residual":
            self.allow(raw, ("as", "from", "residual"), "`residual`")
            return self.residual(args, at, common)
        if merges(verb) and args is not None:
            self.allow(raw, ("as", "from", verb), f"`{verb}`")
            name = common["label"] or self.count(verb, ordinal=True)
            if not isinstance(args, Seq) or not args:
                self.fail(
                    "wrong-type",
                    f"`{verb}` takes a list of branches, found "
                    + ("one without any" if isinstance(args, Seq) else show(args)),
                    at,
                    f"write `{verb}:` and under it one `- …` a branch",
                )
                return None
            branches = [self.branch(branch, args.at(i)) for i, branch in enumerate(args)]
            return Merge(
                op=verb,
                branches=tuple(b for b in branches if b is not None),
                **common | {"name": name},
            )
        self.allow(raw, ("as", "from", "offer", verb), f"the call of `{verb}`")
        ref = self.ref(pick(raw, [verb]), span)
        if ref is None:
            return None
        offer = {key: self.arg(raw["offer"], key) for key, _ in self.mapping(raw, "offer")}
        name = self.call_name(ref)
        return Call(ref=ref, offer=offer, **common | {"name": common["label"] or name})

    def when(self, raw: Map, span: Span) -> Item | None:
        """`when` with `then`, or with the one layer that stands beside it."""
        outer = {key for key in ("when", "then", "else", "as") if key in raw}
        rest = [key for key in raw if key not in outer]
        common = self.common(pick(raw, [k for k in ("as",) if k in raw]), span)
        if "then" in raw:
            if rest:
                self.fail(
                    "unknown-key",
                    f"`{rest[0]}` beside `then`",
                    raw.key_at(rest[0]),
                    "put it into the list under `then`",
                )
            then = self.layers(raw["then"], raw.at("then"))
        elif rest:
            inner = self.item(pick(raw, rest + [k for k in ("as",) if k in raw]), span)
            then = () if inner is None else (inner,)
        else:
            then = ()
            if "else" not in raw:
                self.fail("missing-key", "`when` has neither `then` nor a layer", span)
        otherwise = self.layers(raw["else"], raw.at("else")) if "else" in raw else ()
        return When(condition=self.arg(raw, "when"), then=then, otherwise=otherwise, **common)

    def residual(self, raw: Any, span: Span, common: dict[str, Any]) -> Item | None:
        name = common["label"] or self.count("residual", ordinal=True)
        if not isinstance(raw, Map):
            self.fail(
                "wrong-type", f"`residual` takes `body` and `shortcut`, found {show(raw)}", span
            )
            return None
        self.keys(raw, ("body", "shortcut"), "`residual`")
        if "body" not in raw:
            self.fail("missing-key", "`residual` has no `body`", span)
            return None
        body = self.branch(raw["body"], raw.at("body"))
        shortcut = self.branch(raw["shortcut"], raw.at("shortcut")) if "shortcut" in raw else None
        if body is None:
            return None
        return Residual(body=body, shortcut=shortcut, **common | {"name": name})

    def branch(self, raw: Any, span: Span) -> Branch | None:
        """A string is a value, a list is layers, a mapping one layer."""
        if isinstance(raw, str):
            ref = self.value_ref(raw, span)
            return None if ref is None else Branch(ref=ref, span=span)
        if isinstance(raw, Seq | Map):
            return Branch(layers=self.layers(raw, span), span=span)
        self.fail(
            "wrong-type", f"a branch is a value's name or a list of layers, found {show(raw)}", span
        )
        return None

    def common(self, raw: Map, span: Span) -> dict[str, Any]:
        """span, `as` and `from` of an item."""
        label, source = raw.get("as"), None
        if "as" in raw and not self.named(label, raw.at("as"), "a value"):
            label = None
        if "from" in raw:
            value, at = raw["from"], raw.at("from")
            many = isinstance(value, Seq)
            refs = (
                [self.value_ref(one, value.at(i)) for i, one in enumerate(value)]
                if many
                else [self.value_ref(value, at)]
            )
            source = tuple(ref for ref in refs if ref is not None)
        return {
            "span": span,
            "label": label,
            "source": source,
            "source_is_list": isinstance(raw.get("from"), Seq),
        }

    def value_ref(self, raw: Any, span: Span) -> ValueRef | None:
        match = _INDEXED.fullmatch(raw) if isinstance(raw, str) else None
        if match is None or not is_identifier(match[1]):
            message = f"a value is named like `x` or `x[0]`, found {show(raw)}"
            self.fail("bad-identifier", message, span, computed(raw))
            return None
        return ValueRef(name=match[1], indices=tuple(_INDEX.findall(match[2])), span=span)

    def ref(self, raw: Any, span: Span) -> Ref | None:
        """A call: a name, a name with arguments, or an anonymous list of layers."""
        if isinstance(raw, Seq):
            return Ref(name="layers", span=span, layers=self.layers(raw, span))
        args: dict[str, Arg] = {}
        name: Any = raw
        if isinstance(raw, Map):
            if len(raw) != 1:
                self.fail(
                    "wrong-type",
                    "a call has one name, and its arguments under it",
                    span,
                    "write `{name: {argument: value}}`; layers are a list, each with its own `- `",
                )
                return None
            ((name, given),) = raw.items()
            span = raw.key_at(name)
            if isinstance(given, Map):
                args = {key: self.arg(given, key) for key in given}
                for key in given.keys() & {"as", "from", "else"}:  # no name of a param
                    message = f"`{key}` stands among the arguments of `{name}`, and is none"
                    help = f"write it beside the call: `{{{name}: {{…}}, {key}: …}}`"
                    self.fail("unknown-key", message, given.key_at(key), help)
            elif given is not None:
                self.fail(
                    "wrong-type",
                    f"the arguments of `{name}` are a mapping, found {show(given)}",
                    raw.at(name),
                    f"write `{name}: {{argument: value}}`",
                )
                return None
        match = _INDEXED.fullmatch(name) if isinstance(name, str) else None
        if match is None or not is_identifier(match[1]):
            message = f"expected the name of a block or an op, found {show(name)}"
            self.fail("bad-identifier", message, span, computed(name, "a call") or _meant(name))
            return None
        indices = _INDEX.findall(match[2])
        return Ref(name=match[1], span=span, args=args, index=indices[0] if indices else None)

    def ref_at(self, data: Map, key: str) -> Ref | None:
        return self.ref(data[key], data.at(key)) if key in data else None

    def call_name(self, ref: Ref) -> str:
        return self.count(ref.name, ordinal=ref.name in OPS or ref.name in ROLES)

    def count(self, word: str, ordinal: bool = True) -> str:
        """Name an item by its word and its place in the block's text."""
        self.counts[word] += 1
        number = self.counts[word]
        if ordinal:
            return f"{word}{number}"
        apart = "_" if word[-1].isdigit() else ""  # the second `stem_3x3` is no `stem_3x32`
        return f"{word}{apart}{number}" if number > 1 else word

    def defaults(self, data: Map) -> dict[str, Ref]:
        """Bindings of the three roles."""
        found: dict[str, Ref] = {}
        for role, raw in self.mapping(data, "defaults"):
            table = data["defaults"]
            if role not in ROLES:
                self.fail(
                    "unknown-key",
                    f"`defaults` binds conv, norm and act, found `{role}`",
                    table.key_at(role),
                    did_you_mean(role, ROLES),
                )
            elif (ref := self.ref(raw, table.at(role))) is not None:
                found[role] = ref
        return found

    def two_verbs(self, raw: Map, verbs: list[str]) -> None:
        """One item with two calls: a misspelt modifier, a lost indentation, or a lost dash."""
        first, second = verbs[:2]
        own = ("body", "shortcut") if first == "residual" else _fields(first)
        if second in own or (raw[first] is None and not isinstance(raw[second], Map | None)):
            message = f"`{second}` stands beside `{first}`, not among its arguments"
            help = f"indent it below `{first}:`"
            self.fail("unknown-key", message, raw.key_at(second), help)
            return
        for verb in verbs:
            near = suggest(verb, MODIFIERS)
            if near and verb not in OPS and verb not in ROLES:
                self.fail(
                    "unknown-key",
                    f"unknown key `{verb}` in a layer",
                    raw.key_at(verb),
                    f"did you mean `{near}`?",
                )
                return
        self.fail(
            "unknown-key",
            f"one item holds two calls, `{verbs[0]}` and `{verbs[1]}`",
            raw.key_at(verbs[1]),
            "start each layer with its own `- `",
        )


def _fields(name: str) -> Collection[str]:
    """The arguments of an op, or of a role's usual one."""
    usual = {"conv": "conv2d", "norm": "batch_norm", "act": "relu"}.get(name, name)
    return OPS[usual].FIELDS if usual in OPS else ()


def _meant(name: Any) -> str | None:
    """How to write what was written like a call of another language, or with what is no name."""
    if not isinstance(name, str) or not name.strip():
        return None
    if call := re.fullmatch(r"(\w+)\s*\(.*\)", name):
        return f"write `{call[1]}: {{argument: value}}`"
    first, *rest = name.split()
    if rest and (first in MODIFIERS or first in COMBINATORS):
        return f"write `{first}: {' '.join(rest)}`"
    if rest and all(map(is_identifier, (first, *rest))):
        return "start each layer with its own `- `"
    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 1 and all(map(is_identifier, parts)):
        return f"write a list: `[{', '.join(parts)}]`"
    bare = name.strip("\"',;:.`[]{}()")
    return f"write `{bare}`" if bare != name and is_identifier(bare) else None
