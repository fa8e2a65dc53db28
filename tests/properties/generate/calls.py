"""Blocks that are made and called: params of every type, lets, roles, recursion, several inputs."""

from __future__ import annotations

from typing import Any

from tests.properties.generate import keepers, numbers
from tests.properties.generate.maker import Maker
from tests.properties.generate.roles import defaults
from tests.properties.generate.scope import KEEPERS, LAYERS, Item, Scope, feature
from tests.properties.generate.windows import WORDS, Shape

Made = list[Item] | None
MAX_BLOCKS = 10


def new_block(m: Maker, scope: Scope) -> tuple[Item, Shape]:
    """A call of a new block that fits the current value, some numbers of it being params."""
    g = m.g
    name = m.name("block")
    params: dict[str, Any] = {}
    args: dict[str, Any] = {}
    inner = Scope(scope.now, {"in_channels": scope.now[0]})
    if "num_classes" in scope.numbers:
        inner.numbers["num_classes"] = scope.numbers["num_classes"]
    for _ in range(g.integer(0, 5)):
        param(m, scope, inner, params, args)
    block: dict[str, Any] = {"doc": "One's own."} if g.chance(20) else {}
    block |= {"params": params} if params else {}
    if g.chance(40):
        block["let"] = lets(m, inner)
    if g.chance(20):
        block["defaults"] = defaults(m)
    m.blocks[name] = block  # before its layers, so that names are taken in order
    block["layers"] = m.layers(inner, 5, 0 if g.chance(10) else 1)
    call = {name: args} if args else name
    return call, inner.now


def param(
    m: Maker, outer: Scope, inner: Scope, params: dict[str, Any], args: dict[str, Any]
) -> None:
    """One more param of any type; the callee's scope learns its value."""
    g, name = m.g, m.name("p")
    kind = g.choice(["int", "int", "int", "bool", "float", "number", "list", "choice", "size",
                     "block", "block", "word"])  # fmt: skip
    m.met.add(f"param of type {kind}")
    given: Any
    if kind == "int":
        value = g.integer(1, 9)
        inner.numbers[name] = value
        given = m.written(value, outer)
        declared = g.choice([value, {"type": "int", "default": value, "max": 9, "min": 1}])
    elif kind == "bool":
        given = g.chance(50)
        inner.flags[name] = given
        declared = g.choice([given, {"type": "bool", "default": given, "doc": "A flag."}])
        if g.chance(50):
            given = numbers.condition(g, given, outer.numbers)
            given = (
                given
                if isinstance(given, bool | str) and given not in ("1 * 3", "0 * 3")
                else inner.flags[name]
            )
    elif kind in ("float", "number"):
        given = g.choice([1e-3, 1e-5, 0.999, 0.2, 0.5, 1e-12])
        inner.floats[name] = given
        declared = {"type": kind, "default": given} if kind == "number" or g.chance(50) else given
    elif kind == "list":
        given = [g.integer(1, 3) for _ in range(g.choice([2, 2, 4]))]
        inner.lists[name] = given
        inner.numbers |= {f"{name}[{n}]": one for n, one in enumerate(given)}
        inner.numbers |= {f"len({name})": len(given), f"sum({name})": sum(given)}
        declared = g.choice([given, {"type": "list", "default": given}])
    elif kind == "word":
        given = g.choice(["dark", "light", "very_dark"])
        inner.kinds[name] = given
        declared = given
    elif kind == "choice":
        words = ["same", "valid", "symmetric", "zero", "reflect", "nearest", "bilinear", "tanh"]
        given = g.choice(words)
        inner.words[name] = given
        declared = {"choices": words, "default": given} | (
            {"type": "choice"} if g.chance(50) else {}
        )
    elif kind == "size":
        given = [g.integer(1, 3), g.integer(1, 3)]
        inner.lists[name] = given
        declared = {"type": "size", "default": given}
    else:
        given = keepers.reference(m)
        inner.keepers.append(name)
        declared = {"type": "block", "default": given}
    needed = isinstance(declared, dict) and g.chance(40)
    if needed:
        declared = {key: value for key, value in declared.items() if key != "default"}
        if kind == "choice":
            declared["type"] = "choice"
    params[name] = declared
    if needed or g.chance(30):
        args[name] = given


def lets(m: Maker, inner: Scope) -> dict[str, Any]:
    """A chain of lets, in any order, each of the one before."""
    m.met.add("chain of lets")
    found: dict[str, Any] = {}
    value, text = inner.numbers["in_channels"], "in_channels"
    for _ in range(m.g.integer(1, 4)):
        name, k = m.name("l"), m.g.integer(1, 3)
        kind = m.g.integer(0, 4)
        if kind == 0:
            found[name], value = f"{text} + {k}", value + k
        elif kind == 1:
            found[name], value = f"{text} if {k} > 5 else {k}", k
        elif kind == 2:
            found[name], value = f"make_divisible({text}, {k})", max(k, (value + k // 2) // k * k)
            if value < 0.9 * (inner.numbers.get(text) or value):
                value += k
        elif kind == 3:
            inner.lists[name] = [k, 2]
            found[name] = [k, "2"]
            text, value = f"{name}[0]", k
            inner.numbers[text] = value
            continue
        else:
            found[name], value = f"min({text}, {k} * 2)", min(value, 2 * k)
        inner.numbers[name] = value
        text = name
    return dict(reversed(found.items())) if m.g.chance(50) else found


@feature(LAYERS, 2)
def block_of_ones_own(m: Maker, scope: Scope) -> Made:
    if len(m.blocks) > MAX_BLOCKS:
        return None
    item, out = new_block(m, scope)
    if isinstance(item, str) and m.g.chance(30):
        item = {item: m.g.choice([{}, None])}
    before, scope.now = scope.now, out
    if isinstance(item, dict) and m.g.chance(30):
        item = item | {"offer": {m.name("unknown"): 1, "as_well": "no_such_name + 1"}}
        m.met.add("offer that nobody takes")
        return [item]
    if isinstance(item, str) or not m.g.chance(40):
        return [item]
    label = m.name("b")
    scope.items[label] = (before, out)
    return [item | {"as": label}]


@feature(LAYERS, 4)
def keeper(m: Maker, scope: Scope) -> Made:
    """A block that keeps the shape, made once and called in many places with many numbers."""
    if not scope.is_map:
        return None
    if len(m.keepers) < 2 or (len(m.blocks) <= MAX_BLOCKS and m.g.chance(30)):
        m.pick(KEEPERS)
    if not m.keepers:
        return None
    return [keepers.call(m, scope)]


@feature(LAYERS, 4)
def block_param(m: Maker, scope: Scope) -> Made:
    if not scope.keepers or not scope.is_map:
        return None
    name = m.g.choice(scope.keepers)
    return [m.g.choice([name, {name: None}, {name: {}, "offer": {"nothing": 1}}])]


@feature(LAYERS, 2)
def params_as_arguments(m: Maker, scope: Scope) -> Made:
    """Params of every type where an op takes such a value."""
    if not scope.is_map:
        return None
    g = m.g
    pairs = [name for name, value in scope.lists.items() if len(value) == 2]
    paddings = [name for name, word in scope.words.items() if word in WORDS]
    found: list[Item] = []
    if pairs:
        args = {"out_channels": scope.now[0], "kernel_size": g.choice(pairs), "padding": "same"}
        args |= {"bias": g.choice([*scope.flags])} if scope.flags else {}
        found.append({"conv2d": args})
        m.met.add("list as an argument")
    if paddings:
        args = {"kernel_size": 1, "padding": g.choice(paddings)}
        found.append(
            {"max_pool": args | ({"ceil_mode": g.choice([*scope.flags])} if scope.flags else {})}
        )
        m.met.add("word as an argument")
    if scope.floats:
        name = g.choice([*scope.floats])
        found.append(g.choice([{"layer_norm": {"eps": name}}, {"batch_norm": {"momentum": name}},
                               {"scale": {"value": name}}, {"dropout": {"rate": name}},
                               {"leaky_relu": {"slope": f"-{name}"}}]))  # fmt: skip
        m.met.add("float as an argument")
    return found or None


@feature(LAYERS, 2)
def block_of_several_inputs(m: Maker, scope: Scope) -> Made:
    """Values given by name; one value back, or several."""
    g = m.g
    same = [name for name, shape in scope.values.items() if shape == scope.now]
    name, here = m.name("join"), m.name("v")
    before: list[Item] = [{"as": here}]
    other = g.choice(same) if same and g.chance(70) else here
    a, b = g.choice([("a", "b"), ("x", "h"), ("self", "F"), ("left", "right"), ("b", "a")])
    kind = g.integer(0, 3)
    call: Item = {name: {}, "from": [here, other]}
    if kind == 0:
        layers: list[Item] = [{"mul": [a, [{"from": b}, "sigmoid"]]}]
    elif kind == 1:
        layers = [
            {"concat": [b, [{"from": a}, {"bias": {}}]]},
            {"slice": {"stop": f"{a}.channels"}},
        ]
    elif kind == 2 and scope.is_map:  # values of two sizes
        layers = [{"mul": [a, [{"from": b}, "sigmoid"]]}]
        small = m.name("v")
        before += ["global_avg_pool", {"as": small}]
        call = {name: {}, "from": [here, small]}
    else:  # two come back
        layers = [{"from": a, "tanh": None, "as": "first"}, {"from": ["first", b]}]
        m.met.add("block of several outputs")
        m.blocks[name] = {"inputs": [a, b], "layers": layers}
        scope.values[here] = scope.now
        both = m.name("both")
        scope.tuples[both] = [scope.now] * 2
        end = g.choice([{"from": f"{both}[1]"}, {"add": [both]}, {"maximum": None}])
        return [*before, call | {"as": both}, end]
    m.blocks[name] = {"inputs": [a, b], "layers": layers}
    scope.values[here] = scope.now
    return [*before, call]
