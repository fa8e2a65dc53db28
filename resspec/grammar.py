"""Located YAML data → spec. Every problem of form is found in one pass, each at its place."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, TypeGuard

from resspec.diagnostics import Diagnostic, Span, SpecError, suggest
from resspec.ops.base import OPS
from resspec.spec import (
    Arg,
    BlocksEntry,
    BlockSpec,
    Branch,
    Call,
    Item,
    Merge,
    ModelSpec,
    ParamSpec,
    Ref,
    Repeat,
    Residual,
    Reuse,
    Scoped,
    StageSpec,
    Value,
    ValueRef,
    When,
)
from resspec.syntax import Map, Seq

ROLES = ("conv", "norm", "act")
COMBINATORS = ("residual", "repeat", "reuse")
MODIFIERS = ("as", "from", "when", "then", "else", "offer", "defaults", "index", "layers")
BLOCK_KEYS = ("block", "doc", "inputs", "params", "let", "defaults", "layers")
MODEL_KEYS = (
    "model", "doc", "input", "num_classes", "params", "let", "defaults", "stem", "block",
    "shortcut", "stages", "head", "outputs", "blocks", "extends", "variants",
)  # fmt: skip
STAGE_KEYS = ("name", "depth", "block", "blocks", "stage", "stride")
PARAM_KEYS = ("type", "default", "min", "max", "choices", "doc")
PARAM_TYPES = ("int", "float", "number", "bool", "size", "list", "choice", "block", "blocks")
RESERVED = ("in_channels", "channels", "input", "true", "false")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_INDEXED = re.compile(r"\s*([A-Za-z_]\w*)((?:\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\])*)\s*")
_INDEX = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]")


def is_identifier(name: object) -> TypeGuard[str]:
    """True for what may name a block, a param or a value."""
    return (
        isinstance(name, str)
        and _IDENTIFIER.fullmatch(name) is not None
        and not keyword.iskeyword(name)
    )


def merge_ops() -> tuple[str, ...]:
    """Ops of several inputs, written with a list of branches."""
    return tuple(name for name, cls in OPS.items() if cls.ARITY is None)


class Grammar:
    """Parses one file's data, collecting problems. `finish` raises them."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []
        self._names: Counter[str] = Counter()

    def finish(self) -> None:
        """Raise SpecError with every problem found, if any."""
        if self.problems:
            raise SpecError(*self.problems)

    def fail(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.problems.append(Diagnostic(code, message, span, help=help))

    # -- files ---------------------------------------------------------------------------

    def model(self, data: Map) -> ModelSpec | None:
        """The model of a file (extends and variants already applied)."""
        self.keys(data, MODEL_KEYS, "a model")
        name = self.identifier(data, "model")
        if "input" not in data:
            self.fail(
                "missing-key", "the model has no `input`", data.span,
                "add `input: [3, 224, 224]` (channels, height, width)",
            )  # fmt: skip
        stages = data.get("stages")
        if "stages" in data and not isinstance(stages, Seq):
            self.fail("wrong-type", "`stages` is a list of stages", data.at("stages"))
            stages = None
        own_blocks: dict[str, BlockSpec] = {}
        for key, body in self.mapping(data, "blocks"):
            if isinstance(body, Map):
                block = self.block(body, key, data["blocks"].key_at(key))
                if block is not None:
                    own_blocks[key] = block
            else:
                self.fail("wrong-type", f"block `{key}` is a mapping with `layers`",
                          data["blocks"].at(key))  # fmt: skip
        self._names = Counter()
        spec = {
            "doc": self.text(data, "doc"),
            "params": self.params(data),
            "let": self.lets(data),
            "defaults": self.defaults(data),
            "stem": self.ref_at(data, "stem"),
            "block": self.ref_at(data, "block"),
            "stages": tuple(
                stage
                for i, raw in enumerate(stages or ())
                if (stage := self.stage(raw, stages.at(i), "block" in data)) is not None
            ),
            "head": self.ref_at(data, "head"),
            "outputs": {
                key: branch
                for key, raw in self.mapping(data, "outputs")
                if self.named(key, data["outputs"].key_at(key), "an output")
                and (branch := self.branch(raw, data["outputs"].at(key))) is not None
            },
            "blocks": own_blocks,
        }
        if self.problems or name is None:
            return None
        optional = {
            key: self.arg(data, key) for key in ("num_classes", "shortcut") if key in data
        }
        return ModelSpec(
            name=name, span=data.key_at("model"), input=self.arg(data, "input"),
            **optional, **spec,
        )  # type: ignore[arg-type]  # fmt: skip

    def block(self, data: Map, name: str | None = None, span: Span | None = None) -> BlockSpec | None:
        """A block, from its own file or from a model's `blocks:` (then named by its key)."""
        before = len(self.problems)
        self._names = Counter()
        self.keys(data, BLOCK_KEYS[1:] if name else BLOCK_KEYS, "a block")
        if name is None:
            name = self.identifier(data, "block")
            span = data.key_at("block") if "block" in data else data.span
        assert span is not None
        if name is not None:
            if name in OPS or name in ROLES or name in COMBINATORS or name in MODIFIERS:
                self.fail("name-clash", f"a block may not be called `{name}`: the language has "
                          "that name", span, f"call it `my_{name}`")  # fmt: skip
            self.named(name, span, "a block")
        if "layers" not in data:
            self.fail("missing-key", f"block `{name}` has no `layers`", data.span,
                      "add `layers:`, a list; `layers: []` is the identity")  # fmt: skip
        inputs = data.get("inputs", Seq())
        if not isinstance(inputs, Seq) or not all(is_identifier(i) for i in inputs):
            self.fail("wrong-type", "`inputs` is a list of names", data.at("inputs"))
            inputs = ()
        spec = {
            "doc": self.text(data, "doc"),
            "inputs": tuple(inputs),
            "params": self.params(data),
            "let": self.lets(data),
            "defaults": self.defaults(data),
            "layers": self.layers(data["layers"], data.at("layers")) if "layers" in data else (),
        }
        if len(self.problems) > before or name is None:
            return None
        return BlockSpec(name=name, span=span, **spec)

    # -- layers --------------------------------------------------------------------------

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
            self.fail("wrong-type", f"a layer is a name or `name: {{arguments}}`, found {show(raw)}",
                      span)  # fmt: skip
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
                return Scoped(layers=self.layers(raw["layers"], raw.at("layers")),
                              defaults=self.defaults(raw), **common)  # fmt: skip
            self.allow(raw, ("as", "from"), "a value")
            if not raw.keys() & {"as", "from"}:
                self.fail("missing-key", "this item names no layer", span)
                return None
            return Value(**common)
        verb = verbs[0]
        args, at = raw[verb], raw.at(verb)
        common["span"] = raw.key_at(verb)
        if verb == "repeat":
            self.allow(raw, ("as", "from", "index", "layers", "repeat"), "`repeat`")
            name = common["label"] or self.count("repeat")
            if "layers" not in raw:
                self.fail("missing-key", "`repeat` has no `layers`", raw.key_at(verb))
                return None
            index = raw.get("index", "i")
            self.named(index, raw.at("index"), "an index")
            return Repeat(count=Arg(value=args, span=at), index=str(index),
                          layers=self.layers(raw["layers"], raw.at("layers")),
                          **common | {"name": name})  # fmt: skip
        if verb == "reuse":
            self.allow(raw, ("as", "from", "reuse"), "`reuse`")
            if not is_identifier(args):
                self.fail("wrong-type", f"`reuse` takes the name of an item, found {show(args)}", at)
                return None
            return Reuse(target=args, **common)
        if verb == "residual":
            self.allow(raw, ("as", "from", "residual"), "`residual`")
            return self.residual(args, at, common)
        if verb in merge_ops() and args is not None:
            self.allow(raw, ("as", "from", verb), f"`{verb}`")
            name = common["label"] or self.count(verb, ordinal=True)
            if not isinstance(args, Seq) or not args:
                self.fail("wrong-type", f"`{verb}` takes a list of branches, found {show(args)}", at,
                          f"write `{verb}:` and under it one `- …` a branch")  # fmt: skip
                return None
            branches = [self.branch(branch, args.at(i)) for i, branch in enumerate(args)]
            return Merge(op=verb, branches=tuple(b for b in branches if b is not None),
                         **common | {"name": name})  # fmt: skip
        self.allow(raw, ("as", "from", "offer", verb), f"the call of `{verb}`")
        ref = self.ref(pick(raw, [verb]), span)
        if ref is None:
            return None
        offer = {key: Arg(value=value, span=raw["offer"].at(key))
                 for key, value in self.mapping(raw, "offer")}  # fmt: skip
        name = self.call_name(ref)
        return Call(ref=ref, offer=offer, **common | {"name": common["label"] or name})

    def when(self, raw: Map, span: Span) -> Item | None:
        """`when` with `then`, or with the one layer that stands beside it."""
        outer = {key for key in ("when", "then", "else", "as") if key in raw}
        rest = [key for key in raw if key not in outer]
        common = self.common(pick(raw, [k for k in ("as",) if k in raw]), span)
        if "then" in raw:
            if rest:
                self.fail("unknown-key", f"`{rest[0]}` beside `then`", raw.key_at(rest[0]),
                          "put it into the list under `then`")  # fmt: skip
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
            self.fail("wrong-type", f"`residual` takes `body` and `shortcut`, found {show(raw)}", span)
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
        self.fail("wrong-type", f"a branch is a value's name or a list of layers, found {show(raw)}",
                  span)  # fmt: skip
        return None

    # -- parts ---------------------------------------------------------------------------

    def common(self, raw: Map, span: Span) -> dict[str, Any]:
        """span, `as` and `from` of an item."""
        label, source = raw.get("as"), None
        if "as" in raw:
            self.named(label, raw.at("as"), "a value")
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
            self.fail("bad-identifier", f"a value is named like `x` or `x[0]`, found {show(raw)}", span)
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
                self.fail("wrong-type", "a call has one name, and its arguments under it", span,
                          "write `{name: {argument: value}}`")  # fmt: skip
                return None
            ((name, given),) = raw.items()
            span = raw.key_at(name)
            if isinstance(given, Map):
                args = {k: Arg(value=v, span=given.at(k)) for k, v in given.items()}
            elif given is not None:
                self.fail("wrong-type", f"the arguments of `{name}` are a mapping, found "
                          f"{show(given)}", raw.at(name),
                          f"write `{name}: {{argument: value}}`")  # fmt: skip
                return None
        match = _INDEXED.fullmatch(name) if isinstance(name, str) else None
        if match is None or not is_identifier(match[1]):
            self.fail("bad-identifier", f"expected the name of a block or an op, found {show(name)}",
                      span)  # fmt: skip
            return None
        indices = _INDEX.findall(match[2])
        return Ref(name=match[1], span=span, args=args, index=indices[0] if indices else None)

    def ref_at(self, data: Map, key: str) -> Ref | None:
        return self.ref(data[key], data.at(key)) if key in data else None

    def call_name(self, ref: Ref) -> str:
        return self.count(ref.name, ordinal=ref.name in OPS or ref.name in ROLES)

    def count(self, word: str, ordinal: bool = True) -> str:
        """Name an item by its word and its place in the block's text."""
        self._names[word] += 1
        number = self._names[word]
        return f"{word}{number}" if ordinal or number > 1 else word

    def stage(self, raw: Any, span: Span, has_block: bool) -> StageSpec | None:
        if not isinstance(raw, Map):
            self.fail("wrong-type", f"a stage is a mapping, found {show(raw)}", span,
                      "write `{depth: 3, width: 64}`")  # fmt: skip
            return None
        name = raw.get("name")
        if "name" in raw:
            self.named(name, raw.at("name"), "a stage")
        entries: list[BlocksEntry] = []
        block = self.ref_at(raw, "block")
        if "blocks" in raw:
            for key in ("depth", "block"):
                if key in raw:
                    self.fail("unknown-key", f"`{key}` beside `blocks`", raw.key_at(key),
                              "say it in each entry of `blocks`")  # fmt: skip
            listed = raw["blocks"]
            if not isinstance(listed, Seq) or not listed:
                self.fail("wrong-type", "`blocks` is a list of `{block: …, depth: …}`",
                          raw.at("blocks"))  # fmt: skip
                return None
            for i, entry in enumerate(listed):
                if not isinstance(entry, Map):
                    self.fail("wrong-type", f"an entry of `blocks` is a mapping, found "
                              f"{show(entry)}", listed.at(i))  # fmt: skip
                    continue
                own = self.ref_at(entry, "block")
                if own is None and not has_block:
                    self.fail("missing-key", "no `block` here, and the model has none",
                              listed.at(i))  # fmt: skip
                entries.append(BlocksEntry(
                    span=listed.at(i), block=own,
                    depth=self.arg(entry, "depth") if "depth" in entry else None,
                    args=self.rest(entry, ("block", "depth")),
                ))  # fmt: skip
        else:
            if "depth" not in raw:
                self.fail("missing-key", "the stage has no `depth`", span, "add `depth: 3`")
            if block is None and not has_block:
                self.fail("missing-key", "no `block` in this stage, and the model has none", span,
                          "add `block: bottleneck` to the model")  # fmt: skip
            depth = self.arg(raw, "depth") if "depth" in raw else None
            entries.append(BlocksEntry(span=span, block=block, depth=depth))
        if not entries:
            return None
        return StageSpec(
            span=span, name=name, stage=self.ref_at(raw, "stage"),
            stride=self.arg(raw, "stride") if "stride" in raw else None,
            args=self.rest(raw, STAGE_KEYS), blocks=tuple(entries),
        )  # fmt: skip

    def params(self, data: Map) -> dict[str, ParamSpec]:
        found: dict[str, ParamSpec] = {}
        for name, raw in self.mapping(data, "params"):
            span, key = data["params"].at(name), data["params"].key_at(name)
            if not self.named(name, key, "a param"):
                continue
            if not isinstance(raw, Map):
                default = Arg(value=raw, span=span)
                found[name] = ParamSpec(
                    type=default_type(raw),  # type: ignore[arg-type]
                    span=key, default=None if raw is None else default,
                )  # fmt: skip
                continue
            self.keys(raw, PARAM_KEYS, f"param `{name}`")
            kind = raw.get("type", "choice" if "choices" in raw else default_type(raw.get("default")))
            if kind not in PARAM_TYPES:
                near = suggest(str(kind), PARAM_TYPES)
                self.fail("bad-value", f"a param's type is one of {', '.join(PARAM_TYPES)}, "
                          f"found {show(kind)}", raw.at("type"),
                          f"did you mean `{near}`?" if near else None)  # fmt: skip
                continue
            choices = raw.get("choices", ())
            if kind == "choice" and not (
                isinstance(choices, Seq) and choices and all(isinstance(c, str) for c in choices)
            ):
                self.fail("wrong-type", f"param `{name}` needs `choices`, a list of words", span)
                continue
            bounds = {}
            for bound in ("min", "max"):
                value = raw.get(bound)
                if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                    self.fail("wrong-type", f"`{bound}` is a number, found {show(value)}",
                              raw.at(bound))  # fmt: skip
                else:
                    bounds[bound] = value
            found[name] = ParamSpec(
                type=kind, span=key, doc=self.text(raw, "doc"), choices=tuple(choices),
                default=self.arg(raw, "default") if "default" in raw else None, **bounds,
            )  # fmt: skip
        return found

    def lets(self, data: Map) -> dict[str, Arg]:
        return {
            name: Arg(value=value, span=data["let"].at(name))
            for name, value in self.mapping(data, "let")
            if self.named(name, data["let"].key_at(name), "a let")
        }

    def defaults(self, data: Map) -> dict[str, Ref]:
        """Bindings of the three roles."""
        found: dict[str, Ref] = {}
        for role, raw in self.mapping(data, "defaults"):
            table = data["defaults"]
            if role not in ROLES:
                near = suggest(role, ROLES)
                self.fail("unknown-key", f"`defaults` binds conv, norm and act, found `{role}`",
                          table.key_at(role), f"did you mean `{near}`?" if near else None)  # fmt: skip
            elif (ref := self.ref(raw, table.at(role))) is not None:
                found[role] = ref
        return found

    # -- helpers -------------------------------------------------------------------------

    def arg(self, data: Map, key: str) -> Arg:
        return Arg(value=data[key], span=data.at(key))

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
            self.fail("wrong-type", f"`{key}` is a mapping, found {show(value)}", data.at(key))
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
                "the language uses that name" if name in RESERVED
                else "Python uses that word" if isinstance(name, str) and keyword.iskeyword(name)
                else "letters, digits and _ only, at most 64, no digit first"
            )  # fmt: skip
            self.fail("bad-identifier", f"{what} cannot be called {show(name)}: {reason}", span)
            return False
        return True

    def keys(self, data: Map, known: Collection[str], where: str) -> None:
        """Refuse unknown keys, with the nearest known one."""
        for key in data:
            if key not in known:
                near = suggest(key, known)
                self.fail("unknown-key", f"{where} has no key `{key}`", data.key_at(key),
                          f"did you mean `{near}`?" if near else
                          f"known keys: {', '.join(known)}")  # fmt: skip

    def allow(self, raw: Map, known: Collection[str], where: str) -> None:
        for key in raw:
            if key not in known:
                self.fail("unknown-key", f"`{key}` does not go with {where}", raw.key_at(key))

    def two_verbs(self, raw: Map, verbs: list[str]) -> None:
        """One item with two calls: a misspelt modifier, or a lost dash."""
        for verb in verbs:
            near = suggest(verb, MODIFIERS)
            if near and verb not in OPS and verb not in ROLES:
                self.fail("unknown-key", f"unknown key `{verb}` in a layer", raw.key_at(verb),
                          f"did you mean `{near}`?")  # fmt: skip
                return
        self.fail("unknown-key", f"one item holds two calls, `{verbs[0]}` and `{verbs[1]}`",
                  raw.key_at(verbs[1]), "start each layer with its own `- `")  # fmt: skip


def pick(data: Map, keys: Iterable[str]) -> Map:
    """The same mapping with some of its keys, positions kept."""
    chosen = Map({key: data[key] for key in keys}, span=data.span)
    chosen.key_spans = {key: data.key_at(key) for key in chosen}
    chosen.value_spans = {key: data.at(key) for key in chosen}
    return chosen


def default_type(value: Any) -> str:
    """Type of a param from its default: `stride: 1` is an int, a text is an expression."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    return "list" if isinstance(value, Seq) else "number"


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
