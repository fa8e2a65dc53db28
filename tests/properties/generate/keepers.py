"""Blocks that take any map and keep its shape, called again and again with other arguments."""

from __future__ import annotations

from typing import Any

from tests.properties.generate.maker import Maker
from tests.properties.generate.roles import defaults
from tests.properties.generate.scope import KEEPERS, Item, Scope, feature

SIMPLE = ("identity", "relu", "sigmoid", [], ["tanh", "gain"], {"scale": {"value": 0.5}}, "bias")


def reference(m: Maker) -> Item:
    """What a param of type block may be bound to."""
    if m.keepers and m.g.chance(40):
        name, _ = m.g.choice(m.keepers)
        return m.g.choice([name, {name: {}}, [name]])
    return m.g.choice(SIMPLE)


def call(m: Maker, scope: Scope) -> Item:
    """One of them, each argument given or left to its default."""
    name, values = m.g.choice(m.keepers)
    args: dict[str, Any] = {}
    for key, options in values.items():
        if not m.g.chance(50):
            continue
        if options == "block":
            args[key] = reference(m)
        else:
            value = m.g.choice(options)
            args[key] = m.written(value, scope) if type(value) is int else value
    return {name: args} if args or m.g.chance(20) else name


def add(
    m: Maker, params: dict[str, Any], layers: list[Item], values: dict[str, Any], **more: Any
) -> str:
    name = m.name("keep")
    m.blocks[name] = {"params": params} | more | {"layers": layers}
    m.keepers.append((name, values))
    return name


@feature(KEEPERS, 2)
def hourglass(m: Maker) -> str:
    """Narrow or wide in the middle; its structure follows its arguments."""
    conv = {"conv": {"out_channels": "mid", "kernel_size": "k"}}
    back = {"conv2d": {"out_channels": "in_channels", "kernel_size": 1, "bias": "flag"}}
    middle = m.g.choice([
        ["norm", "act"], ["act"], [{"when": "flag", "norm": None}], ["gate"],
        [{"when": "mid > 3", "then": ["act", "gate"], "else": ["norm"]}],
    ])  # fmt: skip
    params = {"mid": 4, "k": 1, "flag": False, "gate": {"type": "block", "default": "identity"}}
    values = {"mid": (1, 2, 3, 5, 8), "k": (1, 3, 5), "flag": (True, False), "gate": "block"}
    layers = [conv, *middle, back]
    if m.g.chance(50):
        layers = [{"residual": {"body": layers}}]
    return add(m, params, layers, values)


@feature(KEEPERS, 2)
def recursion(m: Maker) -> str:
    """A block that calls itself until its levels are used up; at times twice a level."""
    name = m.name("nest")
    down = {name: {"levels": "levels - 1"}}
    leaf = {"conv": {"out_channels": "in_channels", "kernel_size": 3}}
    body = m.g.choice(
        [[down, "act"], [down, down], [{"residual": {"body": [down]}}], ["norm", down]]
    )
    layers = m.g.choice([
        [{"when": "levels > 1", "then": body, "else": [leaf]}],
        [{"residual": {"body": [{"when": "levels > 1", name: {"levels": "levels - 1"},
                                 "else": [leaf, "norm"]}]}}],
        [leaf, {"when": "levels >= 2", "then": body}],
    ])  # fmt: skip
    m.blocks[name] = {"params": {"levels": m.g.integer(1, 2)}, "layers": layers}
    m.keepers.append((name, {"levels": (1, 1, 2, 3)}))
    return name


@feature(KEEPERS)
def recursion_over_blocks(m: Maker) -> str:
    """A block handed down through a recursion."""
    name = m.name("tree")
    inner = {"type": "block", "default": "tanh"}
    down = {name: {"levels": "levels - 1", "leaf": m.g.choice(["leaf", ["leaf", "gain"]])}}
    layers = [{"when": "levels == 0", "leaf": None, "else": [{"add": [[down], ["leaf"], []]}]}]
    m.blocks[name] = {"params": {"levels": 1, "leaf": inner}, "layers": layers}
    m.keepers.append((name, {"levels": (0, 1, 2), "leaf": "block"}))
    return name


@feature(KEEPERS)
def roles_inside(m: Maker) -> str:
    """Its own defaults, one of them what the caller chose."""
    params = {"activation": {"type": "block", "default": "silu"}, "by": 3}
    roles = defaults(m) | {"act": m.g.choice(["activation", ["activation", "gain"]])}
    conv = {"conv": {"out_channels": "by", "kernel_size": 3}}
    inner = {"defaults": {"act": "act", "norm": "layer_norm"}, "layers": ["norm", "act"]}
    back = {"conv": {"out_channels": "in_channels", "kernel_size": 1}}
    values = {"activation": "block", "by": (1, 2, 4)}
    return add(m, params, [conv, "act", inner, back, "norm"], values, defaults=roles)


@feature(KEEPERS)
def roles_as_params(m: Maker) -> str:
    """Params of type block that are called as a role or an op is."""
    params = {"norm": {"type": "block", "default": "layer_norm"},
              "relu": {"type": "block", "default": "tanh"}}  # fmt: skip
    layers = ["norm", "relu", {"norm": None}]
    return add(m, params, layers, {"norm": "block", "relu": "block"})


@feature(KEEPERS)
def cross(m: Maker) -> str:
    """Parts of the channels in a recurrence, as in Res2Net, by a let and an index."""
    params = {"parts": 1, "out_channels": {"type": "number", "default": "in_channels"}}
    wide = {"conv2d": {"out_channels": "parts * mid", "kernel_size": 1}}
    turn: list[Item] = [
        {"when": "i == 0", "from": "x[0]", "else": [{"add": [[], "x[i]"]}]},
        {"conv": {"out_channels": "channels", "kernel_size": 3}},
        {"when": "i % 2 == 1", "act": None},
    ]
    layers = [wide, {"split": {"chunks": "parts"}, "as": "x"},
              {"repeat": "parts", "as": "y", "layers": turn}, {"concat": ["y"]},
              {"conv2d": {"out_channels": "out_channels", "kernel_size": 1}}]  # fmt: skip
    return add(m, params, layers, {"parts": (1, 2, 3)}, let={"mid": "1 + parts // 2"})


@feature(KEEPERS)
def recalibrated(m: Maker) -> str:
    """Pooled, excited and multiplied, over channels or positions."""
    over = m.g.choice([
        ["global_avg_pool", {"conv2d": {"out_channels": "max(1, in_channels // ratio)",
                                        "kernel_size": 1, "bias": True}}, "act",
         {"conv2d": {"out_channels": "in_channels", "kernel_size": 1}}, "sigmoid"],
        ["global_max_pool", {"channel_conv": {"kernel_size": "2 * ratio + 1"}}, "hard_sigmoid"],
        [{"concat": [["channel_avg_pool"], ["channel_max_pool"]]},
         {"conv2d": {"out_channels": 1, "kernel_size": "2 * ratio + 1"}}, "sigmoid"],
    ])  # fmt: skip
    return add(m, {"ratio": 2}, [{"mul": [[], over]}], {"ratio": (1, 2, 3)})
