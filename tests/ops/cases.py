"""One or more cases for every op, and graphs made of them.

The graph of a case is: a 1x1 convolution of the input, so that gradients towards the op's input
are compared too; the chain of ops that makes each input of the op; the op.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from resspec.backend import Backend, Rule, Unsupported
from resspec.emit import choose
from resspec.ir import Graph, Node, Value
from resspec.ops import OPS
from tests.graphs import GraphBuilder

Step = tuple[str, dict[str, Any]]
POOLED: tuple[Step, ...] = (("global_avg_pool", {}),)
VECTOR: tuple[Step, ...] = (*POOLED, ("flatten", {}))
ODD, EVEN, MIXED = (6, 7, 9), (6, 8, 6), (6, 9, 8)


@dataclass(frozen=True)
class Case:
    """An op's attributes, the input's shape, and the steps to each input of the op."""

    attributes: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, int, int] = MIXED
    feeds: Sequence[tuple[Step, ...]] = ((),)

    def __str__(self) -> str:
        words = [f"{key}={value}" for key, value in self.attributes.items()]
        kind = (
            ""
            if self.feeds == ((),)
            else "/" + "+".join(".".join(name for name, _ in feed) or "x" for feed in self.feeds)
        )
        return ",".join(words).replace(" ", "") + f"@{'x'.join(map(str, self.shape))}{kind}"


def grid(attributes: Sequence[dict[str, Any]], *shapes: tuple[int, int, int]) -> list[Case]:
    """Every attributes with every shape."""
    return [Case(a, shape) for a in attributes for shape in shapes or (ODD, EVEN)]


def turns(attributes: Sequence[dict[str, Any]]) -> list[Case]:
    """Odd and even sizes in turn."""
    return [Case(a, (ODD, EVEN)[k % 2]) for k, a in enumerate(attributes)]


def maps_and_vectors(*attributes: dict[str, Any]) -> list[Case]:
    return [case for a in attributes or ({},) for case in (Case(a), Case(a, feeds=(VECTOR,)))]


PAIR = ((("slice", {"stop": 3}),), (("slice", {"start": 3}),))
WINDOWS: list[dict[str, Any]] = [
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3},
    {"kernel_size": 2, "stride": 2, "padding": "valid"},
    {"kernel_size": 2, "stride": 2, "padding": "valid", "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": "same"},
    {"kernel_size": 2, "padding": "same"},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": [3, 2], "stride": [2, 3], "padding": [0, 1, 1, 0], "ceil_mode": True},
    {"kernel_size": [2, 5], "stride": [1, 2], "padding": [1, 0, 2, 4]},
    {"kernel_size": 1, "stride": 2},
    {"kernel_size": 5, "stride": 1, "padding": 4},
    {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
]
# a window larger than the input
PARTIAL = {"kernel_size": 2, "stride": 2, "padding": "valid", "ceil_mode": True}
CONVS: list[dict[str, Any]] = [
    {"out_channels": 4, "kernel_size": 3},
    {"out_channels": 4, "kernel_size": 3, "stride": 2, "bias": True},
    {"out_channels": 4, "kernel_size": [1, 4], "stride": 2, "padding": "same"},
    {"out_channels": 6, "kernel_size": 3, "groups": 3, "dilation": 2},
    {"out_channels": 6, "kernel_size": 3, "groups": 2, "dilation": 2, "stride": 2, "bias": True},
    {"out_channels": 12, "kernel_size": 5, "groups": 6, "stride": [1, 2], "padding": [0, 1, 2, 1]},
]
# windows, strides and dilations that a framework may have no convolution for
ODD_CONVS: list[dict[str, Any]] = [
    {"out_channels": 6, **window}
    for window in (
        {"kernel_size": 1, "stride": 2, "bias": True},
        {"kernel_size": 7, "stride": 2},
        {"kernel_size": 3, "stride": [2, 1], "padding": "valid"},
        {"kernel_size": [2, 3], "padding": "same"},
        {"kernel_size": 4},
        {"kernel_size": 3, "dilation": [2, 3], "padding": "same"},
        {"kernel_size": 3, "dilation": 2, "stride": 2},
        {"kernel_size": 3, "dilation": [2, 1], "stride": [2, 3], "padding": [1, 2, 0, 1]},
        {"kernel_size": 3, "groups": 3, "stride": 2, "bias": True},
        {"kernel_size": 3, "groups": 6, "stride": 2},
        {"kernel_size": 3, "groups": 6, "stride": [1, 2], "bias": True},
        {"kernel_size": 3, "groups": 6, "dilation": 2},
        {"out_channels": 18, "kernel_size": 3, "groups": 6, "dilation": 2, "stride": 2},
    )
]
TRANSPOSED: list[dict[str, Any]] = [
    {"out_channels": 4, "kernel_size": 3},
    {"out_channels": 4, "kernel_size": 2, "stride": 2, "padding": "valid", "bias": True},
    {"out_channels": 3, "kernel_size": 4, "stride": 2},
    {"out_channels": 3, "kernel_size": 3, "stride": 2, "output_padding": [1, 1], "bias": True},
    {"out_channels": 3, "kernel_size": 3, "stride": 2, "padding": "same", "bias": True},
    {"out_channels": 3, "kernel_size": [1, 4], "stride": [3, 2], "padding": "same", "bias": True},
    {"out_channels": 3, "kernel_size": [2, 5], "padding": [1, 0, 2, 1]},
    {"out_channels": 3, "kernel_size": [2, 5], "padding": [1, 0, 2, 1], "dilation": 2},
    {"out_channels": 4, "kernel_size": 3, "stride": 2, "groups": 2, "bias": True},
    # depthwise, and in groups of several dilations; padding is more than the window reaches
    {"out_channels": 12, "kernel_size": 3, "stride": [2, 3], "groups": 6, "padding": "same"},
    {"out_channels": 4, "kernel_size": [3, 2], "stride": [2, 1], "dilation": [1, 3], "groups": 2,
     "padding": 2, "bias": True},
    {"out_channels": 4, "kernel_size": 3, "padding": 3, "groups": 2},
    # more rows than the windows reach: they hold the bias
    {"out_channels": 4, "kernel_size": 1, "stride": 3, "output_padding": 2, "bias": True},
    {"out_channels": 4, "kernel_size": 2, "dilation": 4, "output_padding": [3, 0]},
]  # fmt: skip

SCORES: Step = ("einsum", {
    "pattern": "(heads d) g n, (heads d) g m -> heads (g n) m", "sizes": {"heads": 3},
})  # fmt: skip
DYNAMIC: list[tuple[dict[str, Any], int, int, int, int]] = [
    ({"kernel_size": 3, "stride": 2}, 4, 6, 3, 3),
    ({"kernel_size": [1, 3], "dilation": 2, "groups": 2, "padding": [0, 1, 2, 1]}, 4, 3, 1, 3),
    ({"kernel_size": 3, "stride": 2, "padding": "same", "groups": 6}, 6, 1, 3, 3),
    ({"kernel_size": 3, "groups": 6, "padding": "valid"}, 12, 1, 3, 3),
    ({"kernel_size": 1, "stride": [1, 2]}, 5, 6, 1, 1),
]


def weight(numbers: int) -> tuple[Step, ...]:
    """Steps to a vector of so many."""
    return (*VECTOR, ("linear", {"out_features": numbers}))


CASES: dict[str, list[Case]] = {
    "relu": maps_and_vectors(),
    "relu6": maps_and_vectors(),
    "leaky_relu": maps_and_vectors({}, {"slope": 0.2}, {"slope": 1.5}),
    "prelu": maps_and_vectors({}, {"shared": True}),
    "elu": maps_and_vectors({}, {"alpha": 0.5}),
    "celu": maps_and_vectors({}, {"alpha": 0.5}),
    "selu": maps_and_vectors(),
    "gelu": maps_and_vectors({}, {"approximate": "tanh"}),
    "quick_gelu": maps_and_vectors(),
    "silu": maps_and_vectors(),
    "mish": maps_and_vectors(),
    "softplus": maps_and_vectors(),
    "softsign": maps_and_vectors(),
    "sigmoid": maps_and_vectors(),
    "log_sigmoid": maps_and_vectors(),
    "tanh": maps_and_vectors(),
    "hard_sigmoid": maps_and_vectors(),
    "hard_swish": maps_and_vectors(),
    "hard_tanh": maps_and_vectors(),
    "exp": maps_and_vectors(),
    "tlu": [Case()],
    "softmax": [
        *maps_and_vectors({}, {"groups": 2}, {"groups": 3}),
        Case({"over": "positions"}),
        Case({"over": "columns"}),
    ],
    "einsum": [
        Case(
            {"pattern": "(heads d) y m, (heads d) y n -> heads (y m) n", "sizes": {"heads": 3}},
            feeds=((), (("roll", {"shift": 1}),)),
        ),
        Case(
            {"pattern": "heads (g n) m, (heads d) g m -> (heads d) g n", "sizes": {"n": 4}},
            (6, 4, 4),
            feeds=((("windows", {"size": 2}), SCORES), (("windows", {"size": 2}),)),
        ),
        Case({"pattern": "(h k) y x, (h v) y x -> v 1 (h k)", "sizes": {"h": 2}}, feeds=((), ())),
        Case(
            {"pattern": "c 1 n, c 1 m -> 1 n m"},
            feeds=((("tokens", {}),), (("roll", {"shift": 1}), ("tokens", {}))),
        ),
        Case(  # one head, whose weights have no channels
            {"pattern": "1 n m, c 1 m -> c 1 n"},
            feeds=(
                (("tokens", {}), ("einsum", {"pattern": "c 1 n, c 1 m -> 1 n m"})),
                (("tokens", {}),),
            ),
        ),
        Case({"pattern": "c y k, c x k -> c x y"}, feeds=((), (("crop", {"height": 4}),))),
        Case({"pattern": "e, e y x -> (y x)"}, feeds=(VECTOR, ())),
        Case({"pattern": "e, e 1 n -> n"}, feeds=(VECTOR, (("learned", {"size": [1, 5]}),))),
        Case({"pattern": "c y x, c y x -> c y x"}, feeds=((), (("roll", {"shift": 1}),))),
        Case({"pattern": "(g c) y x -> g y x", "sizes": {"g": 2}}),
        Case({"pattern": "(a b c) y x -> b (y a) (c x)", "sizes": {"a": 2, "b": 3}}, (12, 4, 5)),
        Case({"pattern": "(g c) y x -> c 1 (g y x)", "sizes": {"g": 2, "y": 9}}),
        Case({"pattern": "c (i y) x -> c (y i) x", "sizes": {"i": 3}}),
        Case({"pattern": "c y x -> c x y"}),
        Case({"pattern": "c -> c 1 1"}, feeds=(VECTOR,)),
        Case({"pattern": "c 1 1 -> c"}, feeds=(POOLED,)),
    ],
    "tokens": [Case(), Case({}, ODD)],
    "grid": [
        Case(feeds=((("tokens", {}),), (("roll", {"shift": 1}),))),
        Case({"size": [8, 9]}, feeds=((("tokens", {}),),)),
    ],
    "crop": [
        *grid([{"top": 1, "left": 2}, {"height": 1, "width": 3}, {"left": 1, "width": 2}]),
        Case({"top": 1, "left": 2}, feeds=((), (("max_pool", {"kernel_size": 2, "stride": 2}),))),
    ],
    "roll": grid([{"shift": [1, -2]}, {"shift": 3}]),
    "concat_columns": [
        Case(feeds=((), ())),
        Case(
            feeds=((("tokens", {}), ("crop", {"width": 1})), (("tokens", {}),), (("tokens", {}),))
        ),
    ],
    "add_coordinates": grid([{}]),
    "windows": [
        Case({"size": [3, 4]}),
        *grid([{"size": 4, "padding": "cover"}, {"size": 3, "stride": 1, "padding": 1}]),
        *grid([{"size": [4, 3], "stride": [2, 1], "padding": [1, 0, 2, 1]}]),
        Case({"size": 2, "padding": [0, 1, 0, 0]}, (6, 7, 8)),
        Case({"size": 1}),
    ],
    "join_windows": [
        Case({"size": [3, 4]}, feeds=((("windows", {"size": [3, 4]}),), ())),
        *[
            Case({"size": 4}, size, feeds=((("windows", {"size": 4, "padding": "cover"}),), ()))
            for size in (ODD, EVEN)
        ],
    ],
    "learned": [
        Case(),
        Case({"size": [1, 1]}),
        Case({"channels": 5, "size": [2, 3], "std": 1.0}, feeds=(VECTOR,)),
        Case({"trained": False}),
        Case({"channels": 5, "size": [2, 3], "trained": False}, feeds=(VECTOR,)),
    ],
    "relative_bias": [
        Case({"window": [2, 3]}, (6, 4, 6), feeds=((("windows", {"size": [2, 3]}), SCORES),)),
        Case({"window": 4}, (6, 4, 4), feeds=((("windows", {"size": 4}), SCORES),)),
    ],
    "relative_logits": [
        Case({"heads": 2, "window": [2, 3]}, (6, 4, 6), feeds=((("windows", {"size": [2, 3]}),),)),
        Case({"heads": 3, "window": 2, "keys": [3, 4]}, EVEN, feeds=((("windows", {"size": 2}),),)),
    ],
    "dynamic_conv2d": [
        Case(one | {"out_channels": out}, size, feeds=((), weight(out * inner * kh * kw)))
        for size, (one, out, inner, kh, kw) in zip(
            (ODD, EVEN, ODD, EVEN, ODD), DYNAMIC, strict=True
        )
    ],
    "conv2d": [*grid(CONVS), *grid(ODD_CONVS, (6, 10, 13))],
    "std_conv2d": turns([*CONVS, {"out_channels": 4, "kernel_size": 3, "eps": 1e-3}]),
    "scaled_std_conv2d": turns(
        [*CONVS, {"out_channels": 4, "kernel_size": 3, "gamma": 1.7, "bias": False}]
    ),
    "conv_transpose2d": grid(TRANSPOSED, ODD),
    "channel_conv": [
        Case({"kernel_size": size, "bias": size == 3}, feeds=(feed,))
        for size in (1, 3, 5)
        for feed in (POOLED, VECTOR)
    ],
    "linear": [Case({"out_features": 4, "bias": bias}, feeds=(VECTOR,)) for bias in (True, False)],
    "add": [Case(feeds=PAIR), Case(feeds=((), (), ()))],
    "sub": [Case(feeds=PAIR), Case(feeds=((("global_max_pool", {}), ("flatten", {})), VECTOR))],
    "maximum": [Case(feeds=PAIR), Case(feeds=(*PAIR, PAIR[0]))],
    "mul": [
        Case(feeds=PAIR),
        Case(feeds=((), POOLED)),
        Case(feeds=((("slice", {"stop": 1}),), ())),
    ],
    "concat": [Case(feeds=PAIR), Case(feeds=((), *PAIR)), Case(feeds=(VECTOR, VECTOR))],
    "batch_norm": [
        *grid([{}, {"eps": 1e-3, "momentum": 0.01}], MIXED),
        *grid([{"scale": scale, "shift": False} for scale in (True, False)], MIXED),
        Case({"scale": False}),
    ],
    "frozen_batch_norm": grid([{}, {"eps": 1e-3}], MIXED),
    "standardize": maps_and_vectors(),
    "group_norm": maps_and_vectors(
        {"groups": 3}, {"groups": 2, "eps": 1e-3}, {"group_size": 2, "affine": False}
    ),
    "instance_norm": grid([{}, {"eps": 1e-3}, {"affine": False}], MIXED),
    "layer_norm": maps_and_vectors({}, {"eps": 1e-3}, {"affine": False}),
    "rms_norm": maps_and_vectors({}, {"eps": 1e-3}, {"affine": False}),
    "simple_norm": maps_and_vectors({}, {"eps": 1e-3}, {"affine": False}),
    "filter_response_norm": grid([{}, {"eps": 1e-3}, {"affine": False}], MIXED),
    "evonorm_s0": grid(
        [
            {"groups": 3},
            {"group_size": 3, "eps": 1e-3},
            {"activate": False, "groups": 1},
            {"activate": False, "divide": True, "groups": 2},
        ],
        MIXED,
    ),
    "grn": grid([{}, {"eps": 1e-3}], MIXED),
    "l2_normalize": maps_and_vectors({}, {"eps": 0.5}),
    "max_pool": [
        *grid([*WINDOWS, {"kernel_size": 3, "stride": 2, "pad_value": "zero"}]),
        Case({"kernel_size": 3, "stride": 2, "pad_value": "zero", "ceil_mode": True}),
        Case({"kernel_size": 3, "stride": 2, "padding": "valid", "ceil_mode": True}),
        Case(PARTIAL, (6, 1, 3)),
    ],
    "avg_pool": [
        *grid([w | {"count_include_pad": c} for w in WINDOWS for c in (True, False)]),
        Case(PARTIAL, (6, 1, 3)),
    ],
    "global_avg_pool": [Case()],
    "global_max_pool": [Case()],
    "global_sum_pool": [Case()],
    "adaptive_avg_pool": grid(
        [{"output_size": size} for size in (1, 2, 3, [5, 6], [7, 4], [11, 20])], ODD
    ),
    "adaptive_max_pool": grid(
        [{"output_size": size} for size in (1, 2, 3, [5, 6], [7, 3], [11, 20])], ODD
    ),
    "blur_pool": grid(
        [
            {},
            {"stride": 1},
            {"kernel_size": 5, "stride": [2, 1]},
            {"kernel_size": 4, "padding": 2},
            {"kernel_size": 2, "pad_mode": "zero", "padding": [0, 1, 1, 0]},
            {"kernel_size": 1, "padding": "valid"},
        ]
    ),
    "channel_avg_pool": maps_and_vectors(),
    "channel_max_pool": maps_and_vectors(),
    "layer_scale": maps_and_vectors({}, {"value": 0.5}),
    "gain": maps_and_vectors(),
    "bias": maps_and_vectors({}, {"shared": True}),
    "scale": maps_and_vectors({"value": 0.25}, {"value": [1, 2, 3, 4, 5, 0.5]}),
    "shift": maps_and_vectors({"value": -0.25}, {"value": [1, 2, 3, 4, 5, 0.5]}),
    "dropout": maps_and_vectors({}),
    "channel_dropout": [Case()],
    "drop_path": maps_and_vectors({"rate": 0.25}),
    "flatten": [Case(), Case(feeds=(POOLED,))],
    "split": [
        Case({"chunks": 3}),
        Case({"sizes": [1, 2, 3]}),
        Case({"chunks": 2}, feeds=(VECTOR,)),
    ],
    "slice": maps_and_vectors({"start": 1, "stop": 4}, {"start": 2}, {"stop": 5}),
    "subsample": grid([{"stride": 2}, {"stride": [1, 3]}, {"stride": 2, "offset": 1}]),
    "pad": grid(
        [
            {"padding": [1, 2, 0, 3]},
            {"padding": 1, "mode": "reflect"},
            {"padding": [2, 1, 0, 3], "mode": "reflect"},
        ]
    ),
    "pad_channels": maps_and_vectors({"before": 1, "after": 2}, {"after": 3}),
    "channel_shuffle": grid([{"groups": 2}, {"groups": 3}, {"groups": 3, "block_size": 2}], EVEN),
    "resize": [
        *grid(
            [
                {"size": size, "mode": mode}
                for size in ([14, 18], [5, 11], [13, 4])
                for mode in ("nearest", "nearest_exact", "bilinear")
            ],
            ODD,
        ),
        # torch's float32 index arithmetic is off here
        *grid([{"size": [82, 123]}, {"size": [61, 41], "mode": "nearest_exact"}], (2, 2, 3)),
        *grid([{"size": [5, 17], "mode": "bilinear", "align_corners": True}]),
        *grid([{"size": [1, 1], "mode": "bilinear", "align_corners": True}], ODD),
        *grid([{"scale_factor": 2.0}, {"scale_factor": 0.5, "mode": "bilinear"}], EVEN),
        *[
            Case({"mode": mode}, ODD, feeds=((("subsample", {"stride": 3}),), ()))
            for mode in ("nearest", "bilinear")
        ],
    ],
    "space_to_depth": [Case({"block_size": 2}, EVEN), Case({"block_size": 3}, (2, 6, 9))],
    "depth_to_space": [Case({"block_size": 2}, (8, 3, 5)), Case({"block_size": 3}, (9, 2, 3))],
}


def build(name: str, case: Case) -> tuple[Graph, Node]:
    """The graph of a case, and the node of its op."""
    builder = GraphBuilder(case.shape, "case")

    def apply(path: str, kind: str, attributes: Mapping[str, Any], *inputs: Value) -> Any:
        return builder.ops(path, OPS[kind](**attributes), *inputs)

    mix = {"out_channels": case.shape[0], "kernel_size": 1, "bias": True}
    (start,) = apply("start", "conv2d", mix, builder.input)
    inputs = []
    for branch, feed in enumerate(case.feeds):
        value = start
        for step, (kind, attributes) in enumerate(feed):
            values = (value, value) if kind == "einsum" else (value,)
            value = apply(f"feed{branch}_{step}", kind, attributes, *values)[0]
        inputs.append(value)
    graph = builder.graph(*apply("tested", name, case.attributes, *inputs))
    return graph, graph.nodes[-1]


def telling(name: str, backends: Sequence[Backend]) -> Iterator[tuple[Case, bool]]:
    """An op's cases, and whether one of the backends writes it by a rule that none before had."""
    seen: set[tuple[str, Rule]] = set()
    for case in CASES[name]:
        node, rules = build(name, case)[1], set[tuple[str, Rule]]()
        for one in backends:
            with suppress(Unsupported):
                rules.add((one.name, choose(one.rules, node)))
        yield case, not rules <= seen
        seen |= rules


def each_rule(name: str, backend: Backend) -> dict[Rule, Case]:
    """The first of an op's cases for each rule by which a backend writes one."""
    found: dict[Rule, Case] = {}
    for case in CASES[name]:
        with suppress(Unsupported):
            found.setdefault(choose(backend.rules, build(name, case)[1]), case)
    return found
