"""JSON Schema of spec files, for editors: completion, hover texts, unknown keys underlined.

Everything in it is derived: ops from their fields, blocks from their `params:`. It catches what
form alone can show; `resspec validate` is the judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from resspec import zoo
from resspec.declared import model_of
from resspec.docstrings import docstring
from resspec.language.grammar import (
    BLOCK_KEYS,
    MODEL_KEYS,
    PARAM_KEYS,
    STAGE_KEYS,
    Grammar,
)
from resspec.language.layer_grammar import ROLES, merges
from resspec.language.spec import PARAM_TYPES, BlockSpec, ParamSpec
from resspec.language.version import LANGUAGE
from resspec.language.words import DOCS
from resspec.ops.base import OPS, Op
from resspec.syntax import Map, read

Schema = dict[str, Any]

IDENTIFIER = r"^(?!__)[A-Za-z_][A-Za-z0-9_]{0,63}$"
STAYS = ("resspec", "model", "input", "extends", "variants", "abstract")
EXPRESSION: Schema = {"type": "string", "minLength": 1, "description": "an expression"}


def schema() -> Schema:
    """The schema of a model file or a block file (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "resspec model or block",
        "type": "object",
        "if": {"required": ["model"]},
        "then": _ref("model"),
        "else": _ref("block"),
        "$defs": _definitions(),
    }


def _ref(name: str, about: str | None = None) -> Schema:
    return {"$ref": f"#/$defs/{name}"} | ({"description": about} if about else {})


def _object(properties: Mapping[str, Schema], **more: Any) -> Schema:
    described = {
        key: ({"description": DOCS[key]} if key in DOCS else {}) | part
        for key, part in properties.items()
    }
    return {"type": "object", "properties": described, "additionalProperties": False, **more}


@cache
def _definitions() -> Schema:
    calls = _calls()
    argument: Schema = {"type": ["string", "number", "boolean", "array", "object"]}
    call = {
        "anyOf": [
            {"type": "string", "examples": sorted(calls)},
            {
                "type": "object",
                "properties": calls,
                "additionalProperties": {"type": ["object", "null"]},
                "minProperties": 1,
                "maxProperties": 1,
            },
            _ref("layers"),
        ]
    }
    branch = {"anyOf": [{"type": "string"}, _ref("layers"), _ref("item")]}
    residual = _object({"body": _ref("branch"), "shortcut": _ref("branch")}, required=["body"])
    defaults = _object({role: _ref("call") for role in ROLES})
    value = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    modifiers: dict[str, Schema] = {
        "as": {"type": "string", "pattern": IDENTIFIER},
        "from": value,
        "when": {"type": ["string", "boolean", "number"]},
        "then": _ref("layers"),
        "else": _ref("layers"),
        "offer": {"type": "object"},
        "defaults": defaults,
        "index": {"type": "string", "pattern": IDENTIFIER},
        "layers": _ref("layers"),
        "repeat": _number({"type": "integer", "minimum": 0}),
        "residual": residual,
        "reuse": {"type": "string", "pattern": IDENTIFIER},
    }
    item = _object(calls | modifiers, additionalProperties={"type": ["object", "null"]})
    stage_values = {
        "name": {"type": "string", "pattern": IDENTIFIER},
        "count": _number({"type": "integer", "minimum": 0}),
        "depth": _number({"type": "integer", "minimum": 0}),
        "block": _ref("call"),
        "blocks": {"type": "array", "minItems": 1, "items": {"type": "object"}},
        "stage": _ref("call"),
        "stride": argument,
    }
    stage = _object({key: stage_values[key] for key in STAGE_KEYS}, additionalProperties=argument)
    named = {"type": "string", "pattern": IDENTIFIER}
    parts: dict[str, Schema] = {
        "resspec": {"type": "integer", "minimum": 1, "maximum": LANGUAGE},
        "model": named,
        "block": named,
        "doc": {"type": "string"},
        "input": {"type": "array", "minItems": 3, "maxItems": 3},
        "num_classes": _number({"type": "integer", "minimum": 1}),
        "params": _names(_ref("param")),
        "let": _names({"type": ["string", "number", "boolean", "array"]}),
        "defaults": defaults,
        "stem": _ref("call"),
        "shortcut": _ref("call"),
        "stages": {"type": "array", "items": _ref("stage")},
        "head": _ref("call"),
        "outputs": _names(_ref("branch")),
        "blocks": {"type": "object", "additionalProperties": {"type": "object"}},
        "extends": {"type": "string"},
        "variants": _names({"type": ["object", "null"]}),
        "abstract": {"type": "boolean"},
        "inputs": {"type": "array", "items": named},
        "layers": _ref("layers"),
    }
    model = {key: parts[key] for key in MODEL_KEYS} | {"block": _ref("call")}
    unset = {"type": "null"}  # takes away what a base says
    model |= {key: {"anyOf": [model[key], unset]} for key in MODEL_KEYS if key not in STAYS}
    needs = {"anyOf": [{"required": ["input"]}, {"required": ["extends"]}]}
    settings: Schema = {"type": {"enum": list(PARAM_TYPES)}, "default": {}}
    settings |= {"min": {"type": "number"}, "max": {"type": "number"}, "doc": {"type": "string"}}
    settings |= {"choices": {"type": "array", "items": {"type": "string"}, "minItems": 1}}
    plain = {"type": ["string", "number", "boolean", "array", "null"]}
    param = {"anyOf": [plain, _object({key: settings[key] for key in PARAM_KEYS})]}
    return {
        "model": _object(model, required=["model"], **needs),
        "block": _object({key: parts[key] for key in BLOCK_KEYS}, required=["block", "layers"]),
        "layers": {"anyOf": [{"type": "string"}, _ref("item"), _items()]},
        "item": item,
        "call": call,
        "branch": branch,
        "stage": stage,
        "param": param,
    }


def _items() -> Schema:
    return {"type": "array", "items": {"anyOf": [{"type": "string"}, _ref("item")]}}


def _names(part: Schema) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": IDENTIFIER},
        "additionalProperties": part,
    }


def _number(part: Schema) -> Schema:
    """A number, or an expression for one."""
    return {"anyOf": [part, EXPRESSION]}


def _calls() -> dict[str, Schema]:
    """What a layer may call: ops, roles and shipped blocks, with their arguments."""
    found: dict[str, Schema] = {}
    for name, cls in sorted(OPS.items()):
        doc = {"description": docstring(cls) or name}
        if merges(name):
            branches = {"type": "array", "minItems": 1, "items": _ref("branch")}
            found[name] = {"anyOf": [branches, {"type": "null"}]} | doc
        else:
            found[name] = _optional(_op(cls)) | doc
    for role in ROLES:
        found[role] = {"type": ["object", "null"], "description": DOCS["defaults"]}
    for entry in zoo.blocks():
        data = read(entry.path)[1]
        block = Grammar().block(data) if isinstance(data, Map) else None
        if block is not None:
            found[block.name] = _optional(_block(block)) | {"description": block.doc}
    return found


def _optional(arguments: Schema) -> Schema:
    """Arguments may be left out where none is needed."""
    return arguments if arguments.get("required") else {"anyOf": [arguments, {"type": "null"}]}


def _op(cls: type[Op]) -> Schema:
    """Arguments of an op; each number may be an expression, each word a param's name."""
    properties = {}
    for name, part in model_of(cls).model_json_schema()["properties"].items():
        about = {k: part.pop(k) for k in ("description", "default") if k in part}
        part.pop("title", None)
        accepts = [part, EXPRESSION]
        if "'array'" in str(part):  # [2, width], or one number for all
            accepts.append({"type": ["array", "integer"]})
        properties[name] = {"anyOf": accepts} | about
    for name in cls.VALUE_ARGS:
        properties[name] = {"type": "string", "description": "a value, by name"}
    for name in cls.TABLES:
        table = {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "integer"}, EXPRESSION]},
        }
        properties[name] = table | {"description": cls.FIELDS[name].doc}
    # The role's defaults may hold what an op needs, so nothing is required here.
    return _object(properties)


def _block(block: BlockSpec) -> Schema:
    return _object(
        {name: _param(spec) for name, spec in block.params.items() if spec.type != "blocks"}
    )


def _param(spec: ParamSpec) -> Schema:
    about: Schema = {"description": spec.doc} if spec.doc else {}
    if spec.default is not None and isinstance(spec.default.value, str | int | float | bool):
        about["default"] = spec.default.value
    if spec.type in ("block", "blocks"):
        return _ref("call") | about
    if spec.type == "choice":
        return {"anyOf": [{"enum": list(spec.choices)}, EXPRESSION]} | about
    if spec.type == "bool":
        return {"type": ["boolean", "string"]} | about
    if spec.type in ("list", "size"):
        return {"type": ["array", "integer", "string"]} | about
    return {"type": ["number", "string", "boolean"]} | about
