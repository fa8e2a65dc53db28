"""A model: input, params, stem, stages, head, outputs, variants."""

from __future__ import annotations

from typing import Any

from tests.properties.generate.calls import new_block
from tests.properties.generate.maker import Maker
from tests.properties.generate.roles import defaults, own_roles
from tests.properties.generate.scope import Item, Scope
from tests.properties.generate.stages import stages
from tests.properties.generate.windows import Shape

INPUTS = ((1, 1, 1), (3, 1, 1), (2, 1, 9), (1, 7, 1), (4, 2, 2), (1, 3, 16))


def model(m: Maker) -> dict[str, Any]:
    """The data of a model; `variant` is what to build where it has variants."""
    g = m.g
    shape: Shape = (g.integer(1, 4), g.integer(8, 14), g.integer(8, 14))
    if g.chance(15):
        shape = g.choice(INPUTS)
        m.met.add("tiny input")
    data: dict[str, Any] = {"model": g.choice(["net", m.name("net")])}
    data |= {"doc": g.choice(["Made at random.", "", "é \\ \"quotes\" '''\n and lines"])}
    data["input"] = [*shape]
    scope = Scope(shape, {})
    if g.chance(50):
        params(m, data, scope)
    if g.chance(40):
        data["defaults"] = own_roles(m) if g.chance(30) else defaults(m)
    if g.chance(80):
        classes = g.integer(1, 7)
        data["num_classes"] = m.written(classes, scope)
        scope.numbers["num_classes"] = classes
    scope.values["input"] = shape
    if g.chance(75):
        data["stem"], out = part(m, scope)
        scope.now = scope.values["stem"] = out
    if scope.is_map and g.chance(40):
        stages(m, data, scope)
    if g.chance(60):
        data["head"], out = head(m, scope)
        scope.now = scope.values["head"] = out
    m.met |= {f"model without {key}" for key in ("stem", "stages", "head") if key not in data}
    if g.chance(35):
        data["outputs"] = outputs(m, scope, data)
    if m.blocks:
        data["blocks"] = m.blocks
    if g.chance(15):
        variants(m, data)
    return data


def params(m: Maker, data: dict[str, Any], scope: Scope) -> None:
    """Numbers, lists and words of a model, and lets of them."""
    g = m.g
    wide, sizes = m.name("wide"), m.name("sizes")
    value, many = g.integer(1, 9), [g.integer(1, 5), 4]
    data["params"] = {wide: g.choice([value, {"type": "int", "default": value, "max": 99}])}
    data["params"] |= {sizes: many}
    scope.numbers |= {wide: value, f"{sizes}[0]": many[0], f"{sizes}[-1]": 4}
    scope.lists[sizes] = many
    if g.chance(30):
        word = m.name("word")
        data["params"][word] = {"choices": ["same", "valid", "symmetric"], "default": "same"}
        scope.words[word] = "same"
    if g.chance(30):
        flag, rate = m.name("flag"), m.name("rate")
        data["params"] |= {flag: True, rate: 1e-3}
        scope.flags[flag], scope.floats[rate] = True, 1e-3
    twice, thrice = m.name("twice"), m.name("thrice")
    data["let"] = {thrice: f"{twice} + {wide}", twice: f"2 * {wide}"}
    scope.numbers |= {twice: 2 * value, thrice: 3 * value}


def part(m: Maker, scope: Scope) -> tuple[Item, Shape]:
    """A stem or a head: a block of its own, or a list of layers."""
    if m.g.chance(40):
        return new_block(m, scope)
    inner = scope.inner(values=dict(scope.values))
    return m.layers(inner, 6, 1), inner.now


def head(m: Maker, scope: Scope) -> tuple[Item, Shape]:
    if scope.is_map and "num_classes" in scope.numbers and m.g.chance(50):
        return "classifier", (scope.numbers["num_classes"],)
    return part(m, scope)


def outputs(m: Maker, scope: Scope, data: dict[str, Any]) -> dict[str, Item]:
    """Values, branches and pyramids by name."""
    g = m.g
    found: dict[str, Item] = {}
    count = g.choice([1, 2, 2, 3])
    named = [*scope.values] + ["stages", "stages[0]", "stages[-1]"] * ("stages" in data)
    if count > 1:
        m.met.add("several outputs")
    for _ in range(count):
        name = m.name("out")
        kind = g.integer(0, 3)
        maps = [one for one, shape in scope.values.items() if len(shape) == 3]
        if kind == 0:
            found[name] = g.choice(named)
        elif kind == 1 and len(maps) > 1:
            chosen = [g.choice(maps) for _ in range(g.integer(2, 3))]
            found[name] = [{"from": chosen}, {"fpn": {"out_channels": g.integer(1, 4)}}]
            m.met.add("pyramid")
        elif kind == 2:
            start = g.choice(named[: len(scope.values)])
            inner = scope.inner(now=scope.values[start])
            found[name] = [{"from": start}, *m.layers(inner, 3)]
        else:
            inner = scope.inner()
            branch = m.layers(inner, 2)
            found[name] = (
                branch[0]
                if len(branch) == 1 and g.chance(50) and isinstance(branch[0], dict)
                else branch
            )
            if len(inner.now) == 3 and inner.now[0] > 1 and g.chance(30):
                found[name] = [*branch, {"split": {"sizes": [1, inner.now[0] - 1]}}]
                m.met.add("tuple as output")
    return found


def variants(m: Maker, data: dict[str, Any]) -> None:
    """What is said moves into a variant; the base says something else that is valid too."""
    g = m.g
    name, other = m.name("variant"), m.name("variant")
    chosen: dict[str, Any] = {}
    params = data.get("params") or {}  # a variant's key that is a param's name sets the param
    for key, declared in params.items():
        if isinstance(declared, int) and not isinstance(declared, bool):
            chosen[key] = declared
            data["params"][key] = declared + 1
    for key in ("doc", "defaults", "outputs"):
        if key in data and key not in params and g.chance(50):
            chosen[key] = data[key] if key == "doc" else data.pop(key)
    if not {"outputs"} & {*data, *chosen, *params} and g.chance(40):
        data["outputs"], chosen["outputs"] = {"wrong": "input"}, None
        m.met.add("null unsets")
    table: dict[str, Any] = {other: {"doc": "Another."}}
    if len(chosen) > 1 and g.chance(60):  # a part in a sibling, or in a chain of them
        base = m.name("variant")
        first = next(iter(chosen))
        table[base] = {first: chosen.pop(first)} | g.some(extends=other)
        chosen["extends"] = base
        m.met.add("variant of a sibling")
    if g.chance(20):
        data["abstract"] = True
        m.met.add("abstract base")
    chosen = chosen or {"doc": "A variant."}
    table[name] = chosen
    data["variants"] = dict(reversed(table.items())) if g.chance(50) else table
    m.variant = name
    m.met.add("variant")
