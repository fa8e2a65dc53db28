"""Values by name: picked, listed, indexed, used again, read only for their size."""

from __future__ import annotations

from typing import Any

from tests.properties.generate.choose import divisor
from tests.properties.generate.maker import Maker
from tests.properties.generate.scope import LAYERS, Item, Scope, feature

Made = list[Item] | None


@feature(LAYERS)
def name_a_value(m: Maker, scope: Scope) -> Made:
    label = m.name("v")
    scope.values[label] = scope.now
    scope.own.append(label)
    return [{"as": label}]


@feature(LAYERS, 4)
def name_a_value_again(m: Maker, scope: Scope) -> Made:
    """A name that is bound a second time; outside this list it would be another value."""
    if not scope.own:
        return None
    label = m.g.choice(scope.own)
    scope.values[label] = scope.now
    return [{"as": label}]


@feature(LAYERS)
def go_back(m: Maker, scope: Scope) -> Made:
    known = [n for n, shape in scope.values.items() if len(shape) == len(scope.now)]
    known += [f"{n}[{i}]" for n, all in scope.tuples.items() for i, s in enumerate(all)
              if len(s) == len(scope.now)]  # fmt: skip
    if not known:
        return None
    name = m.g.choice(known)
    root, _, index = name.partition("[")
    scope.now = scope.tuples[root][int(index[:-1])] if index else scope.values[name]
    return [{"from": name}]


@feature(LAYERS)
def lists_of_values(m: Maker, scope: Scope) -> Made:
    """`from` a list, then all of it joined, or one of it picked."""
    same = [*scope.alike(scope.now)]
    if not same:
        return None
    chosen = [m.g.choice(same) for _ in range(m.g.integer(1, 3))]
    if scope.now[0] * len(chosen) > 48:
        return None
    label = m.name("all")
    op = m.g.choice(["concat", "add", "maximum", "mul"])
    if op == "concat":
        scope.now = (scope.now[0] * len(chosen), *scope.now[1:])
    if m.g.chance(50):
        return [{"from": chosen}, {op: None}]
    return [{"from": chosen, "as": label}, {op: m.g.choice([[label], [[]]])}]


@feature(LAYERS, 4)
def computed_index(m: Maker, scope: Scope) -> Made:
    """A part of a tuple by an expression."""
    if not scope.tuples:
        return None
    label = m.g.choice([*scope.tuples])
    shapes = scope.tuples[label]
    if not shapes:
        return None
    at = m.g.integer(0, len(shapes) - 1)
    if len(shapes[at]) != len(scope.now):
        return None
    forms = [f"{at}", f"{at - len(shapes)}", f"len({label}) - {len(shapes) - at}", f"{at} + 0"]
    equal = [name for name, value in scope.numbers.items() if value == at]
    scope.now = shapes[at]
    return [{"from": f"{label}[{m.g.choice([*forms, *equal])}]"}]


@feature(LAYERS, 2)
def split(m: Maker, scope: Scope) -> Made:
    """Parts that are joined again, all or some."""
    g = m.g
    channels = scope.now[0]
    chunks = divisor(g, channels, 4)
    sizes = [channels // chunks] * chunks
    if g.chance(40) and channels > 1:
        first = g.integer(1, channels - 1)
        sizes = [first, channels - first]
        args: dict[str, Any] = {"sizes": [m.written(n, scope) for n in sizes]}
        m.met.add("sizes of a split")
    else:
        args = {"chunks": chunks}
    label = m.name("parts")
    at = g.integer(0, len(sizes) - 1)
    rest = scope.now[1:]
    if g.chance(40):
        return [{"split": args}, "concat"]
    found: list[Item] = [{"split": args, "as": label}]
    scope.tuples[label] = [(size, *rest) for size in sizes]
    if g.chance(50):
        scope.now = (sizes[at], *rest)
        return [*found, {"from": f"{label}[{at}]"}]
    if g.chance(30):
        return [*found, {"concat": [label]}]
    order = [f"{label}[{n}]" for n in range(len(sizes))][::-1]
    return [*found, {"from": order}, {"concat": None}]


@feature(LAYERS, 2)
def reuse_at_once(m: Maker, scope: Scope) -> Made:
    """Anything that keeps the shape, applied twice or more, with one set of parameters."""
    start = scope.now
    inner = scope.inner()
    body, inner = m.kept(inner)
    body += m.bridge(inner.now, start)
    label = m.name("twice")
    kind = m.g.integer(0, 4)
    item: dict[str, Any]
    if kind == 0:
        item = {"residual": {"body": body}}
    elif kind == 1:
        item = {"add": [[], body, []]}
    elif kind == 2:
        item = {"repeat": m.g.integer(0, 2), "layers": body}
    elif kind == 3:
        item = {"when": "true", "then": body}
    else:
        name = m.name("block")
        m.blocks[name] = {
            "layers": [{"conv2d": {"out_channels": "in_channels", "kernel_size": 1}}, "act"]
        }
        item = {name: {}} if scope.is_map else {"linear": {"out_features": start[0]}}
    scope.forget()
    if kind == 2:
        scope.tuples[label] = [start] * item["repeat"]
    else:
        scope.values[label] = start
    scope.items[label] = (start, start)
    again = [{"reuse": label}] * m.g.integer(1, 2)
    return [item | {"as": label}, *again]


@feature(LAYERS, 6)
def reuse(m: Maker, scope: Scope) -> Made:
    fitting = [name for name, (before, _) in scope.items.items() if before == scope.now]
    if not fitting:
        return None
    name = m.g.choice(fitting)
    scope.now = scope.items[name][1]
    again = {"reuse": name}
    if m.g.chance(30):
        label = m.name("v")
        scope.values[label] = scope.now
        return [again | {"as": label}]
    return [again]


@feature(LAYERS, 2)
def reuse_across_turns(m: Maker, scope: Scope) -> Made:
    """An item named before a loop, or in its first turn, applied in every turn."""
    g, label, start = m.g, m.name("shared"), scope.now
    inner = scope.inner()
    body, inner = m.kept(inner)
    body += m.bridge(inner.now, start)
    item: dict[str, Any] = g.choice([{"residual": {"body": body}}, {"add": [[], body]}])
    again: Item = {"reuse": label}
    turns = g.integer(0, 3)
    loop = {"repeat": turns, "layers": g.choice([[again, "relu"], ["gain", again], [again, again]])}
    scope.values[label] = start
    scope.forget()
    return [item | {"as": label}, loop, *g.choice([[], [again]])]


@feature(LAYERS)
def reuse_at_another_size(m: Maker, scope: Scope) -> Made:
    """One layer over two sizes, as heads over the levels of a pyramid have it."""
    if not scope.is_map:
        return None
    label, c = m.name("shared"), scope.now[0]
    k = m.g.choice([1, 3])
    items: list[Item] = [
        {"conv": {"out_channels": c, "kernel_size": k}}, {"group_norm": {"groups": 1}},
        {"residual": {"body": [{"conv": {"out_channels": c, "kernel_size": k}}]}}, "layer_norm",
        "prelu", "evonorm_s0" if c % 32 == 0 else "grn",
    ]  # fmt: skip
    item = m.g.choice(items)
    item = {item: {}} if isinstance(item, str) else item
    down = {"subsample": {"stride": 2}}
    scope.now = (c, *(-(-n // 2) for n in scope.now[1:]))
    same = {"conv": {"conv2d": {}}}  # `same` pads by the size, and is then another layer
    return [{"defaults": same, "layers": [item | {"as": label}, down, {"reuse": label}]}]


@feature(LAYERS)
def tuples_through_reuse(m: Maker, scope: Scope) -> Made:
    """An item that takes or gives several values, applied twice."""
    g, c = m.g, scope.now[0]
    if c % 2 or c > 24:
        return None
    label, half = m.name("cut"), m.name("half")
    again: list[Item] = [{"split": {"chunks": 2}, "as": label}, "concat", {"reuse": label}]
    kind = g.integer(0, 3)
    if kind == 0:
        return [*again, "concat"]
    if kind == 1:
        scope.tuples[half] = [(c // 2, *scope.now[1:])] * 2
        return [*again, {"as": half}, {"concat": [half, []]}, {"slice": {"stop": c}}]
    name = m.name("two")
    if kind == 2:  # two in, two out
        body: list[Item] = [
            {"from": "a", "bias": {}, "as": "a2"}, {"from": "b", "gain": {}, "as": "b2"},
            {"from": ["b2", "a2"]},
        ]  # fmt: skip
        m.blocks[name] = {"inputs": ["a", "b"], "layers": body}
        return [{"split": {"chunks": 2}}, {name: None, "as": label}, {"reuse": label}, "concat"]
    body = [{"add": None}, {"bias": {}}]
    m.blocks[name] = {"inputs": ["a", "b"], "layers": [{"add": ["a", "b"]}, {"bias": {}}]}
    scope.now = (c // 2, *scope.now[1:])
    return [
        {"split": {"chunks": 2}, "as": half}, {"as": label, name: {}},
        {"from": [f"{half}[1]", f"{half}[0]"], "reuse": label},
    ]  # fmt: skip


@feature(LAYERS, 2)
def read_only_for_its_size(m: Maker, scope: Scope) -> Made:
    """A value that nothing reads but a `like`; it may hold parameters."""
    if not scope.is_map:
        return None
    label = m.name("ruler")
    inner = scope.inner()
    body = m.g.choice([
        [{"subsample": {"stride": 2}}], [{"conv": {"out_channels": 3, "kernel_size": 3}}],
        [{"adaptive_avg_pool": {"output_size": [2, 3]}}], ["relu"],
        [{"resize": {"size": [3, 5]}}, "norm"],
    ])  # fmt: skip
    size = list(scope.now[1:])
    if "subsample" in body[0]:
        size = [-(-n // 2) for n in size]
    elif "adaptive_avg_pool" in body[0]:
        size = [2, 3]
    elif "resize" in body[0]:
        size = [3, 5]
    del inner
    start = m.name("v")
    mode = m.g.choice(["nearest", "bilinear", "nearest_exact"])
    found = [{"as": start}, *body, {"as": label}, {"from": start}]
    scope.now = (scope.now[0], *size)
    return [*found, {"resize": {"like": label, "mode": mode}}]


@feature(LAYERS)
def like(m: Maker, scope: Scope) -> Made:
    maps = [name for name, shape in scope.values.items() if len(shape) == 3]
    maps += [f"{n}[{i}]" for n, all in scope.tuples.items() for i, s in enumerate(all)
             if len(s) == 3]  # fmt: skip
    if len(scope.now) == 1 or not maps:
        return None
    name = m.g.choice(maps)
    root, _, index = name.partition("[")
    shape = scope.tuples[root][int(index[:-1])] if index else scope.values[name]
    scope.now = (scope.now[0], *shape[1:])
    args: dict[str, Any] = {"like": name, "mode": m.g.choice(["nearest", "bilinear"])}
    if args["mode"] == "bilinear":
        args |= m.g.some(align_corners=True)
    return [{"resize": args}]


@feature(LAYERS)
def sizes_in_expressions(m: Maker, scope: Scope) -> Made:
    """Widths and kernels that follow the channels, height and width of named values."""
    maps = [name for name, shape in scope.values.items() if len(shape) == 3]
    if not scope.is_map or not maps:
        return None
    name = m.g.choice(maps)
    channels, height, width = scope.values[name]
    out = min(channels, 8)
    test = m.g.choice([f"{name}.height == {height}", f"{name}.width > {width - 1}"])
    scope.now = (out, *scope.now[1:])
    conv = {"conv2d": {"out_channels": f"min({name}.channels, 8)", "kernel_size": 1}}
    return [{"when": test, "then": [conv], "else": ["flatten"]}]


@feature(LAYERS)
def lowest_padding(m: Maker, scope: Scope) -> Made:
    """Minus infinity around a map, which only a max pool may read."""
    if not scope.is_map or max(scope.now[1:]) > 16:
        return None
    pad, pool = {"pad": {"padding": 1, "mode": "lowest"}}, {"kernel_size": 3, "padding": "valid"}
    return [pad, {"max_pool": pool}]


@feature(LAYERS)
def flattened(m: Maker, scope: Scope) -> Made:
    """Vectors, through what takes vectors."""
    if not scope.is_map or scope.now[0] * scope.now[1] * scope.now[2] > 400 or m.g.chance(60):
        return None
    scope.now = (scope.now[0] * scope.now[1] * scope.now[2],)
    return ["flatten", *m.op(scope)]
