"""Layers that hold layers: residuals, merges, folds, conditions, other roles."""

from __future__ import annotations

from typing import Any

from tests.properties.generate import numbers
from tests.properties.generate.maker import Maker
from tests.properties.generate.roles import defaults, own_roles
from tests.properties.generate.scope import LAYERS, Item, Scope, feature

Made = list[Item] | None


@feature(LAYERS, 16)
def any_op(m: Maker, scope: Scope) -> Made:
    return m.op(scope)


@feature(LAYERS, 2)
def residual(m: Maker, scope: Scope) -> Made:
    body, inner = m.kept(scope, 3)
    scope.forget()
    parts: dict[str, Item] = {"body": body}
    way = m.bridge(scope.now, inner.now)
    if way or m.g.chance(50):
        parts["shortcut"] = way
    return [m.labelled({"residual": parts}, scope, inner.now)]


@feature(LAYERS)
def residual_without_shortcut(m: Maker, scope: Scope) -> Made:
    """A shortcut of no value leaves the body alone."""
    body, inner = m.kept(scope)
    scope.forget()
    scope.now = inner.now
    none = m.g.choice([[{"from": []}], {"from": []}])
    return [{"residual": {"body": body, "shortcut": none}}]


@feature(LAYERS)
def shortcut_context(m: Maker, scope: Scope) -> Made:
    """A shortcut that reads in_channels, out_channels and stride."""
    if not scope.is_map or min(scope.now) < 1:
        return None
    height, width = scope.now[1:]
    stride = m.g.choice([1, 2, 3, [1, 2], [2, 1], [5, 1]])
    down, across = (stride, stride) if isinstance(stride, int) else stride
    out = m.g.integer(1, 9)
    k = m.g.choice([1, 3, [1, 3], [3, 5]])
    body: list[Item] = [
        {"conv": {"out_channels": out, "kernel_size": k, "stride": stride}}, "norm",
    ]  # fmt: skip
    kind = m.g.integer(0, 3)
    if kind == 0:
        way: Item = [
            {"conv": {"out_channels": "out_channels", "kernel_size": 1, "stride": "stride"}}
        ]
    elif kind == 1:
        way = [
            {"when": "stride != 1", "subsample": {"stride": "stride"}},
            {"when": "in_channels != out_channels",
             "then": [{"conv": {"out_channels": "out_channels", "kernel_size": 1}}]},
        ]  # fmt: skip
    elif kind == 2:
        way = [{"avg_pool": {"kernel_size": "stride", "stride": "stride", "ceil_mode": True,
                             "padding": "valid"}},
               {"conv2d": {"out_channels": "out_channels * 1", "kernel_size": 1,
                           "bias": "in_channels > out_channels"}}]  # fmt: skip
    else:
        way = [m.g.choice(["projection", "projection_always"])]
    scope.forget()
    scope.now = (out, -(-height // down), -(-width // across))
    return [{"residual": {"body": body, "shortcut": way}}]


@feature(LAYERS, 3)
def merge(m: Maker, scope: Scope) -> Made:
    g = m.g
    op = g.choice(["add", "concat", "mul", "maximum", "sub"])
    first, inner = m.kept(scope)
    target = inner.now
    branches: list[Item] = [first]
    channels = target[0]
    for _ in range(1 if op == "sub" else g.choice([0, 1, 1, 2, 3])):
        names = scope.alike(target)
        if target == scope.now:
            names = [*names, []]
        if names and g.chance(50):
            branches.append(g.choice(names))
            channels += target[0]
            continue
        body, other = m.kept(scope)
        goal = target
        if op == "concat" and g.chance(50):
            goal = (other.now[0], *target[1:])
        if op == "mul" and len(target) == 3 and g.chance(50):
            goal = g.choice([(target[0], 1, 1), (1, *target[1:]), (1, 1, 1)])
        branches.append(body + m.bridge(other.now, goal))
        channels += goal[0]
    if op not in ("sub",) and g.chance(10):
        branches.append([{"from": []}])
        m.met.add("branch left out")
    scope.forget()
    out = (channels, *target[1:]) if op == "concat" else target
    if out[0] > 64:
        return None
    return [m.labelled({op: branches}, scope, out)]


@feature(LAYERS)
def merge_of_one_value_twice(m: Maker, scope: Scope) -> Made:
    op = m.g.choice(["add", "sub", "mul", "maximum", "concat"])
    if op == "concat" and scope.now[0] > 32:
        return None
    name = m.name("v")
    scope.values[name] = scope.now
    if op == "concat":
        scope.now = (2 * scope.now[0], *scope.now[1:])
    return [{"as": name}, {op: m.g.choice([[name, name], [[], name], [[], []]])}]


@feature(LAYERS)
def gate(m: Maker, scope: Scope) -> Made:
    if not scope.is_map:
        return None
    channels = m.g.choice([scope.now[0], "channels"])
    conv = {"conv2d": {"out_channels": channels, "kernel_size": 1, "bias": True}}
    return [{"mul": [[], ["global_avg_pool", conv, "sigmoid"]]}]


@feature(LAYERS, 2)
def repeat(m: Maker, scope: Scope) -> Made:
    """Turns that keep the shape; the counter is used in conditions and widths."""
    g = m.g
    turns, counter = g.integer(0, 3), g.choice(["i", "turn", m.name("k")])
    inner = scope.inner()
    start = scope.now
    body, inner = m.kept(inner)
    body += m.bridge(inner.now, start)
    if scope.is_map and g.chance(40):
        wide = {"conv2d": {"out_channels": f"{counter} + 2", "kernel_size": 1}}
        back = {"conv2d": {"out_channels": scope.now[0], "kernel_size": 1}}
        body += [{"when": f"{counter} > 0", "then": [wide, back]}]
    item = {"repeat": m.written(turns, scope), "layers": body}
    item |= {"index": counter} if counter != "i" else {}
    if not g.chance(40) or not 0 < turns * scope.now[0] <= 32:
        return [item]
    label = m.name("turns")
    m.met.add("results of all turns")
    if g.chance(40):
        scope.tuples[label] = [scope.now] * turns
        return [item | {"as": label}]
    scope.now = (scope.now[0] * turns, *scope.now[1:])
    return [item | {"as": label}, {"concat": [label]}]


@feature(LAYERS)
def nested_repeat(m: Maker, scope: Scope) -> Made:
    """Two counters, the results of both loops indexed and read for their channels."""
    if scope.now[0] > 12 or not scope.is_map:
        return None
    g = m.g
    outer, inner = m.name("outer"), m.name("inner")
    i, j = g.choice([("i", "j"), ("j", "i"), ("row", "i")])
    rows, columns = g.integer(1, 2), g.integer(1, 3)
    c = scope.now[0]
    conv = {"conv2d": {"out_channels": f"{j} + {i} + 1", "kernel_size": 1}}
    back = {"conv2d": {"out_channels": c, "kernel_size": f"2 * {i} + 1"}}
    earlier = {"when": f"{j} > 0", "add": [[], f"{inner}[{j} - 1]"]}
    within = {"repeat": columns, "index": j, "as": inner, "layers": [conv, "act", back, earlier]}
    joined = [{"concat": [inner]}, {"conv2d": {"out_channels": c, "kernel_size": 1}}]
    if g.chance(50):
        joined = [{"from": f"{inner}[len({inner}) - 1]"}]
    loop = {"repeat": rows, "index": i, "as": outer, "layers": [within, *joined]}
    if g.chance(50):
        scope.tuples[outer] = [scope.now] * rows
        return [loop]
    return [loop, {"from": f"{outer}[{g.choice([0, -1, rows - 1])}]"}]


@feature(LAYERS)
def repeat_over_a_list(m: Maker, scope: Scope) -> Made:
    """One turn for each number of a list."""
    if not scope.is_map or not scope.lists:
        return None
    name = m.g.choice([*scope.lists])
    conv = {"conv2d": {"out_channels": f"min({name}[i], 8)", "kernel_size": 1}}
    found = scope.lists[name]
    scope.now = (min(found[-1], 8), *scope.now[1:])
    return [{"repeat": f"len({name})", "layers": [conv]}]


@feature(LAYERS)
def dense(m: Maker, scope: Scope) -> Made:
    """Growth by concatenation."""
    if not scope.is_map:
        return None
    turns, growth = m.g.integer(1, 3), m.g.integer(1, 3)
    scope.now = (scope.now[0] + turns * growth, *scope.now[1:])
    grown = ["norm", "act", {"conv": {"out_channels": growth, "kernel_size": 3}}]
    return [{"repeat": turns, "layers": [{"concat": [[], grown]}]}]


@feature(LAYERS, 2)
def when(m: Maker, scope: Scope) -> Made:
    g = m.g
    truth = g.chance(50)
    known = scope.numbers | {"channels": scope.now[0]}
    test = numbers.condition(g, truth, known)
    if scope.kinds and g.chance(40):
        name = g.choice([*scope.kinds])
        word = scope.kinds[name] if truth else "neither"
        test = g.choice(
            [f"{name} == '{word}'", f"not ({name} != '{word}')", f"{name} in ['{word}', 'x']"]
        )
        m.met.add("word in a condition")
    flags = [name for name, value in scope.flags.items() if value is truth]
    if flags and g.chance(70):
        test = g.choice(flags)
    body, inner = m.kept(scope)
    untaken = [g.choice(["relu", {"no_such_block": {"n": 1}}, {"conv": {}}])]
    item: dict[str, Item] = {"when": test}
    if truth:
        item |= {"then": body}
        item |= {"else": untaken} if g.chance(40) else {}
    else:
        item |= {"then": untaken}
        if g.chance(30):  # identity
            return [item]
        item |= {"else": body}
    scope.forget()
    scope.now = inner.now
    return [item]


@feature(LAYERS)
def when_beside_a_layer(m: Maker, scope: Scope) -> Made:
    """One layer stands beside `when`, perhaps with its own `as` and `from`."""
    truth = m.g.chance(50)
    test = numbers.condition(m.g, truth, scope.numbers)
    before = scope.now
    (item,) = m.op(scope)
    if isinstance(item, str):
        item = {item: None}
    if not truth:
        label = item.pop("as", None)
        scope.now = before
        scope.values.pop(label, None)
        scope.items.pop(label, None)
    return [{"when": test} | item]


@feature(LAYERS)
def other_roles(m: Maker, scope: Scope) -> Made:
    inner = scope.inner()
    body = m.layers(inner, 2)
    scope.now = inner.now
    return [{"defaults": own_roles(m) if m.g.chance(50) else defaults(m), "layers": body}]


@feature(LAYERS)
def roles_of_roles(m: Maker, scope: Scope) -> Made:
    """A binding that names a role means the outer one, at several levels."""
    if not scope.is_map:
        return None
    g = m.g
    out = g.integer(1, 8)
    inside: Any = [{"conv": {"out_channels": out, "kernel_size": 3}}, "norm", "act"]
    for _ in range(g.integer(1, 3)):
        bound = g.choice([{"act": "act"}, {"norm": "act"}, {"act": "norm"}, {"act": ["act", "tanh"]},
                          {"norm": []}, {"norm": "norm", "act": {"act": {}}}, {"conv": "conv"},
                          {"conv": {"conv": {"bias": True}}}])  # fmt: skip
        inside = [{"defaults": bound, "layers": inside}, *g.choice([[], ["act"], ["norm"]])]
    scope.now = (out, *scope.now[1:])
    return list(inside)


@feature(LAYERS, 2)
def role(m: Maker, scope: Scope) -> Made:
    g = m.g
    if not scope.is_map:
        return ["act"]
    out = g.integer(1, 9)
    found: list[Item] = [{"conv": {"out_channels": out, "kernel_size": g.choice([1, 3])}}]
    scope.now = (out, *scope.now[1:])
    return [*found, *g.choice([["norm", "act"], ["act"], []])]
