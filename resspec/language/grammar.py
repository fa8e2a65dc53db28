"""Located YAML data → spec. Every problem of form is found in one pass, each at its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from resspec.diagnostics import Span, did_you_mean, suggest
from resspec.language.checker import show
from resspec.language.layer_grammar import COMBINATORS, MODIFIERS, ROLES, LayerGrammar
from resspec.language.spec import (
    PARAM_TYPES,
    Arg,
    BlocksEntry,
    BlockSpec,
    ModelSpec,
    ParamSpec,
    ParamType,
    StageSpec,
)
from resspec.language.version import check_version
from resspec.ops.base import OPS
from resspec.syntax import Map, Seq

_T = TypeVar("_T")

BLOCK_KEYS = ("resspec", "block", "doc", "inputs", "params", "let", "defaults", "layers")
MODEL_KEYS = (
    "resspec",
    "model",
    "doc",
    "input",
    "num_classes",
    "params",
    "let",
    "defaults",
    "stem",
    "block",
    "shortcut",
    "stages",
    "head",
    "outputs",
    "blocks",
    "extends",
    "variants",
    "abstract",
)
STAGE_KEYS = ("name", "count", "depth", "block", "blocks", "stage", "stride")
PARAM_KEYS = ("type", "default", "min", "max", "choices", "doc")


class Grammar(LayerGrammar):
    """Parses one file's data, collecting problems. `finish` raises them."""

    def model(self, data: Map) -> ModelSpec | None:
        """The model of a file (extends and variants already applied)."""
        self.keys(data, MODEL_KEYS, "a model")
        name = self.identifier(data, "model")
        if "input" not in data:
            self.fail(
                "missing-key",
                "the model has no `input`",
                data.span,
                "add `input: [3, 224, 224]` (channels, height, width)",
            )
        stages = data.get("stages", Seq())
        if not isinstance(stages, Seq):
            self.fail(
                "wrong-type",
                f"`stages` is a list of stages, found {show(stages)}",
                data.at("stages"),
                "write one `- {depth: 3, width: 64}` a stage",
            )
            stages = Seq()
        self.stage_names(stages)
        own_blocks: dict[str, BlockSpec] = {}
        for key, body in self.mapping(data, "blocks"):
            if isinstance(body, Map):
                block = self.block(body, key, data["blocks"].key_at(key))
                if block is not None:
                    own_blocks[key] = block
            else:
                self.fail(
                    "wrong-type",
                    f"block `{key}` is a mapping with `layers`",
                    data["blocks"].at(key),
                )
        self.counts = Counter()
        spec: dict[str, Any] = {
            "doc": self.text(data, "doc"),
            "params": self.params(data),
            "let": self.lets(data),
            "defaults": self.defaults(data),
            "stem": self.ref_at(data, "stem"),
            "block": self.ref_at(data, "block"),
            "stages": tuple(
                stage
                for i, raw in enumerate(stages)
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
        optional: dict[str, Any] = {
            key: self.arg(data, key) for key in ("num_classes", "shortcut") if key in data
        }
        if data.get("shortcut") is None:  # `shortcut: null` unsets that of a base
            optional.pop("shortcut", None)
        return ModelSpec(
            name=name,
            span=data.key_at("model"),
            input=self.arg(data, "input"),
            **optional,
            **spec,
        )

    def block(
        self, data: Map, name: str | None = None, span: Span | None = None
    ) -> BlockSpec | None:
        """A block, from its own file or from a model's `blocks:` (then named by its key)."""
        before = len(self.problems)
        self.counts = Counter()
        self.keys(data, BLOCK_KEYS[2:] if name else BLOCK_KEYS, "a block")
        if name is None:
            name = self.identifier(data, "block")
            span = data.key_at("block") if "block" in data else data.span
        assert span is not None
        if name is not None:
            if name in OPS or name in ROLES or name in COMBINATORS or name in MODIFIERS:
                self.fail(
                    "name-clash",
                    f"a block may not be called `{name}`: the language has that name",
                    span,
                    f"call it `my_{name}`",
                )
            self.named(name, span, "a block")
        if "layers" not in data:
            self.fail(
                "missing-key",
                f"block `{name}` has no `layers`",
                data.span,
                "add `layers:`, a list; `layers: []` is the identity",
            )
        inputs = data.get("inputs", Seq())
        if not isinstance(inputs, Seq):
            message = f"`inputs` is a list of names, found {show(inputs)}"
            self.fail("wrong-type", message, data.at("inputs"), "write `inputs: [a, b]`")
            inputs = Seq()
        for number, one in enumerate(inputs):
            if self.named(one, inputs.at(number), "an input") and one in inputs[:number]:
                self.fail("name-collision", f"two inputs are called `{one}`", inputs.at(number))
        spec: dict[str, Any] = {
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

    def stage_names(self, stages: Seq) -> None:
        """Refuse a name that another part of the model has."""
        taken = {"stem", "stages", "head"}
        for stage in stages:
            name = stage.get("name") if isinstance(stage, Map) else None
            if isinstance(name, str) and name in taken:
                message = f"a stage cannot be called `{name}`: another part of the model is"
                self.fail("name-collision", message, stage.at("name"), "give it another name")
            if isinstance(name, str):
                taken.add(name)

    def stage(self, raw: Any, span: Span, has_block: bool) -> StageSpec | None:
        if not isinstance(raw, Map):
            self.fail(
                "wrong-type",
                f"a stage is a mapping, found {show(raw)}",
                span,
                "write `{depth: 3, width: 64}`",
            )
            return None
        name = raw.get("name")
        if "name" in raw and not self.named(name, raw.at("name"), "a stage"):
            name = None
        entries: list[BlocksEntry] = []
        block = self.ref_at(raw, "block")
        if "blocks" in raw:
            if "depth" in raw:
                self.fail(
                    "unknown-key",
                    "`depth` beside `blocks`",
                    raw.key_at("depth"),
                    "say it in each entry of `blocks`",
                )
            listed = raw["blocks"]
            if not isinstance(listed, Seq) or not listed:
                self.fail(
                    "wrong-type", "`blocks` is a list of `{block: …, depth: …}`", raw.at("blocks")
                )
                return None
            for i, entry in enumerate(listed):
                if not isinstance(entry, Map):
                    self.fail(
                        "wrong-type",
                        f"an entry of `blocks` is a mapping, found {show(entry)}",
                        listed.at(i),
                    )
                    continue
                own = self.ref_at(entry, "block") if "block" in entry else block
                if own is None and not has_block:
                    self.fail(
                        "missing-key",
                        "no `block` here, and neither the stage nor the model has one",
                        listed.at(i),
                    )
                entries.append(
                    BlocksEntry(
                        span=listed.at(i),
                        block=own,
                        depth=self.arg(entry, "depth") if "depth" in entry else None,
                        args=self.rest(entry, ("block", "depth")),
                    )
                )
        else:
            if "depth" not in raw:
                meant = suggest("depth", (key for key in raw if key not in STAGE_KEYS))
                self.fail(
                    "missing-key",
                    "the stage has no `depth`",
                    raw.key_at(meant) if meant else span,
                    f"did you mean `depth` by `{meant}`?" if meant else "add `depth: 3`",
                )
            if block is None and not has_block:
                self.fail(
                    "missing-key",
                    "no `block` in this stage, and the model has none",
                    span,
                    "add `block: bottleneck` to the model",
                )
            depth = self.arg(raw, "depth") if "depth" in raw else None
            entries.append(BlocksEntry(span=span, block=block, depth=depth))
        if not entries:
            return None
        return StageSpec(
            span=span,
            name=name,
            stage=self.ref_at(raw, "stage"),
            count=self.arg(raw, "count") if "count" in raw else None,
            stride=self.arg(raw, "stride") if "stride" in raw else None,
            args=self.rest(raw, STAGE_KEYS),
            blocks=tuple(entries),
        )

    def params(self, data: Map) -> dict[str, ParamSpec]:
        found: dict[str, ParamSpec] = {}
        for name, raw in self.mapping(data, "params"):
            span, key = data["params"].at(name), data["params"].key_at(name)
            if not self.named(name, key, "a param"):
                continue
            if not isinstance(raw, Map):
                default = Arg(value=raw, span=span)
                found[name] = ParamSpec(
                    type=default_type(raw),
                    span=key,
                    default=None if raw is None else default,
                    **words(raw, name, data),
                )
                continue
            self.keys(raw, PARAM_KEYS, f"param `{name}`")
            kind = raw.get(
                "type", "choice" if "choices" in raw else default_type(raw.get("default"))
            )
            if kind not in PARAM_TYPES:
                self.fail(
                    "bad-value",
                    f"a param's type is one of {', '.join(PARAM_TYPES)}, found {show(kind)}",
                    raw.at("type"),
                    did_you_mean(str(kind), PARAM_TYPES),
                )
                continue
            choices = raw.get("choices", ())
            if kind == "choice" and not (
                isinstance(choices, Seq) and choices and all(isinstance(c, str) for c in choices)
            ):
                self.fail("wrong-type", f"param `{name}` needs `choices`, a list of words", span)
                continue
            bounds: dict[str, Any] = {}
            for bound in ("min", "max"):
                value = raw.get(bound)
                if value is not None and (
                    isinstance(value, bool) or not isinstance(value, int | float)
                ):
                    self.fail(
                        "wrong-type", f"`{bound}` is a number, found {show(value)}", raw.at(bound)
                    )
                else:
                    bounds[bound] = value
            found[name] = ParamSpec(
                type=kind,
                span=key,
                doc=self.text(raw, "doc"),
                choices=tuple(choices),
                default=self.arg(raw, "default") if "default" in raw else None,
                **bounds,
                **(words(raw.get("default"), name, data) if "type" not in raw else {}),
            )
        return found

    def lets(self, data: Map) -> dict[str, Arg]:
        return {
            name: Arg(value=value, span=data["let"].at(name))
            for name, value in self.mapping(data, "let")
            if self.named(name, data["let"].key_at(name), "a let")
        }


def words(default: Any, name: str, data: Map) -> dict[str, Any]:
    """Whether a param whose type is open may hold words, and is compared with one in `data`."""
    parts = default if isinstance(default, Seq) else [default]
    if not any(isinstance(part, str) and part.isidentifier() for part in parts):
        return {}
    quoted, here = r"""\s*[\[(]?\s*['"]""", rf"\b{name}\b(?:\[[^\]]*\])?"
    compared = rf"""{here}\s*(?:==|!=|\bin\b|\bnot\s+in\b){quoted}|['"]\s*(?:==|!=|in)\s*{here}"""
    return {"word": True, "compared": any(re.search(compared, text) for text in texts(data))}


def texts(data: Any) -> Iterator[str]:
    """Every text in some data."""
    if isinstance(data, str):
        yield data
    for part in data.values() if isinstance(data, Map) else data if isinstance(data, Seq) else ():
        yield from texts(part)


def default_type(value: Any) -> ParamType:
    """Type of a param from its default: `stride: 1` is an int, a text is an expression."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    return "list" if isinstance(value, Seq) else "number"


def well_formed(data: Map, form: Callable[[Grammar, Map], _T | None]) -> _T:
    """A model or a block (`Grammar.model`, `Grammar.block`) of good form.

    Errors: `later-version`; SpecError with every problem of its form.
    """
    check_version(data)
    grammar = Grammar()
    found = form(grammar, data)
    grammar.finish()
    if found is None:
        raise AssertionError("what has no problems is something")
    return found
