"""What `conv`, `norm` and `act` may stand for: all take any map, whatever it is."""

from __future__ import annotations

from typing import Any

from tests.properties.generate.maker import Maker

NORMS = (
    "layer_norm",
    {"group_norm": {"groups": 1}},
    "rms_norm",
    {"batch_norm": {"eps": 1e-3}},
    {"batch_norm": {"momentum": 1, "init": "zero"}},
    "filter_response_norm",
    {"layer_norm": {"affine": False}},
)
ACTS = ("silu", {"leaky_relu": {"slope": 0.2}}, "gelu", "prelu", {"elu": {"alpha": 0.5}}, "hard_swish")  # fmt: skip
CONVS = (
    {"conv2d": {"bias": True}},
    "std_conv2d",
    "scaled_std_conv2d",
    {"conv2d": {"padding": "same"}},
)


def defaults(m: Maker) -> dict[str, Any]:
    """Bindings to ops."""
    g = m.g
    found = {"norm": g.choice(NORMS), "act": g.choice(ACTS)}
    if g.chance(50):
        found["conv"] = g.choice(CONVS)
    return found


def own_roles(m: Maker) -> dict[str, Any]:
    """Bindings to blocks of one's own, to lists of layers, to nothing."""
    g = m.g
    m.met.add("roles of one's own")
    found: dict[str, Any] = {}
    if g.chance(50):
        name = m.name("own_norm")
        init = {
            "choices": ["one", "zero"],
            "default": "one",
        }  # what the library's blocks say of norms
        layers = [g.choice(NORMS), g.choice(["gain", "bias", "identity"])]
        m.blocks[name] = {"params": {"init": init}, "layers": layers}
        found["norm"] = g.choice([name, [], [name], ["layer_norm", {"scale": {"value": 0.5}}]])
    if g.chance(50):
        name = m.name("own_act")
        m.blocks[name] = {"params": {"by": 2.0}, "layers": [{"scale": {"value": "by"}}, "tanh"]}
        found["act"] = g.choice([name, {name: {"by": -1.5}}, [], ["relu", name]])
    if g.chance(60) or not found:
        name = m.name("own_conv")
        size = {"type": "size", "default": 1}
        inner = {"conv2d": {"out_channels": "in_channels", "kernel_size": "kernel_size",
                            "stride": "stride", "groups": "in_channels"}}  # fmt: skip
        point = {"conv2d": {"out_channels": "out_channels", "kernel_size": 1, "bias": "bias"}}
        m.blocks[name] = {
            "params": {"out_channels": {"type": "int", "min": 1}, "kernel_size": {"type": "size"},
                       "stride": size, "bias": False},
            "layers": [inner, point],
        }  # fmt: skip
        found["conv"] = g.choice([name, {name: {"bias": True}}])
    return found
