"""Layers of attention: ops that take several values, with what they need around them."""

from __future__ import annotations

from typing import Any

from tests.properties.generate.choose import divisor
from tests.properties.generate.maker import Maker
from tests.properties.generate.scope import LAYERS, Item, Scope, feature

Made = list[Item] | None
POSITIONS = 64


@feature(LAYERS)
def attention(m: Maker, scope: Scope) -> Made:
    """Tokens, scores of every two of them, what they weigh, and the map again."""
    if not scope.is_map or scope.now[1] * scope.now[2] > POSITIONS:
        return None
    g = m.g
    here, row, weights = m.name("here"), m.name("row"), m.name("weights")
    heads = divisor(g, scope.now[0])
    scores = {"pattern": "(heads d) 1 n, (heads d) 1 m -> heads n m", "sizes": {"heads": heads}}
    positions: list[Item] = []
    if max(scope.now[1:]) > 1 and g.chance(40):  # one position has no ways
        positions = [{"relative_bias": {"window": [*scope.now[1:]]}}]
    return [
        {"as": here},
        {"tokens": {}, "as": row},
        *([{"conv2d": {"out_channels": scope.now[0], "kernel_size": 1}}] if g.chance(30) else []),
        {"from": [row, row], "einsum": scores},
        *positions,
        {"softmax": {"over": "columns"}, "as": weights},
        {"from": [weights, row],
         "einsum": {"pattern": "heads n m, (heads d) 1 m -> (heads d) 1 n"}},
        {"grid": {"like": here}},
    ]  # fmt: skip


@feature(LAYERS)
def attention_in_windows(m: Maker, scope: Scope) -> Made:
    """Windows side by side, at times rolled, with what is added to their scores."""
    if not scope.is_map:
        return None
    g, (channels, *extents) = m.g, scope.now
    here, cut, weights = m.name("here"), m.name("cut"), m.name("weights")
    size = [divisor(g, n, 4) for n in extents] if g.chance(50) else [2, g.integer(1, 3)]
    covered = {} if all(n % k == 0 for n, k in zip(extents, size, strict=True)) else {"padding": "cover"}  # fmt: skip
    heads, queries = divisor(g, channels), size[0] * size[1]
    roll = [g.integer(-2, 2), g.integer(-2, 2)]
    back = [-roll[0], -roll[1]]
    rolled = g.chance(30)
    score = {"pattern": "(heads d) g n, (heads d) g m -> heads (g n) m", "sizes": {"heads": heads}}
    weigh = {"pattern": "heads (g n) m, (heads d) g m -> (heads d) g n", "sizes": {"n": queries}}
    scores: list[Item] = [{"from": [cut, cut], "einsum": score}]
    if g.chance(50):
        logits = {"relative_logits": {"heads": heads, "window": size}}
        scores = [{"add": [scores, [{"from": cut} | logits]]}]
    if g.chance(50) and queries > 1:  # one position has no ways
        scores.append({"relative_bias": {"window": size}})
    return [
        *([{"roll": {"shift": roll}}] if rolled else []),
        {"as": here},
        {"windows": {"size": size} | covered, "as": cut},
        *scores,
        {"softmax": {"over": "columns"}, "as": weights},
        {"from": [weights, cut], "einsum": weigh},
        {"join_windows": {"size": size, "like": here}},
        *([{"roll": {"shift": back}}] if rolled else []),
    ]


@feature(LAYERS)
def attention_over_channels(m: Maker, scope: Scope) -> Made:
    """Scores of channels, which no size fixes."""
    if not scope.is_map:
        return None
    name = m.name("x")
    scores = {"pattern": "c y x, d y x -> c 1 d"}
    return [
        {"as": name},
        {"from": [name, name], "einsum": scores},
        {"softmax": {"over": "columns"}, "as": (weights := m.name("weights"))},
        {"from": [weights, name], "einsum": {"pattern": "c 1 d, d y x -> c y x"}},
    ]


@feature(LAYERS, 2)
def columns_joined(m: Maker, scope: Scope) -> Made:
    """Columns of one value after those of others, among them learned ones."""
    if not scope.is_map:
        return None
    g, (channels, height, width) = m.g, scope.now
    own = width
    branches: list[Item] = [g.choice([[], ["tanh"]])]
    for _ in range(g.integer(1, 2)):
        more = g.integer(1, 3)
        learned: dict[str, Any] = {"size": [height, more]} | g.some(std=g.choice([0, 1.0, 1e-3]))
        learned |= {"channels": channels} if g.chance(30) else {}
        learned |= {"trained": False} if g.chance(20) else {}
        taken = g.integer(1, own)
        if g.chance(60):
            branches.append([{"learned": learned}])
            width += more
        else:
            branches.append([{"crop": {"width": taken}}])
            width += taken
        if g.chance(50):
            branches.reverse()
    if width > 24:
        return None
    scope.forget()
    return [m.labelled({"concat_columns": branches}, scope, (channels, height, width))]


@feature(LAYERS)
def positions_learned(m: Maker, scope: Scope) -> Made:
    """A number for each element, which fixes the size; a vector is a map of one position."""
    if not scope.is_map or min(scope.now[1:]) < 2:  # one row is the same for any
        return None
    return [{m.g.choice(["add", "mul"]): [[], ["learned"]]}]


@feature(LAYERS)
def queries_learned(m: Maker, scope: Scope) -> Made:
    """A pool by queries that are trained."""
    if not scope.is_map:
        return None
    g, queries, out = m.g, m.g.integer(1, 3), m.name("x")
    asked, weights = m.name("asked"), m.name("weights")
    row = (scope.now[0], 1, scope.now[1] * scope.now[2])
    scope.now = (scope.now[0], 1, queries)
    return [
        {"tokens": {}, "as": out},
        {"learned": {"size": [1, queries], "std": 0.5}, "as": asked},
        {"from": [asked, out], "einsum": {"pattern": "c 1 q, c 1 n -> 1 q n"}},
        *([{"scale": {"value": row[0] ** -0.5}}] if g.chance(50) else []),
        {"softmax": {"over": "columns"}, "as": weights},
        {"from": [weights, out], "einsum": {"pattern": "1 q n, c 1 n -> c 1 q"}},
    ]


@feature(LAYERS, 2)
def weight_computed(m: Maker, scope: Scope) -> Made:
    """A convolution whose weight comes from the map itself."""
    if not scope.is_map or scope.now[0] > 16:
        return None
    g, (channels, height, width) = m.g, scope.now
    here, weight = m.name("here"), m.name("weight")
    groups = divisor(g, channels)
    out = groups * g.integer(1, max(1, 6 // groups))
    k, s = g.choice([1, 3, [1, 3]]), g.choice([1, 1, 2, [1, 2]])
    window_, steps = (x if isinstance(x, list) else [x, x] for x in (k, s))
    numbers = out * (channels // groups) * window_[0] * window_[1]
    args = {"out_channels": out, "kernel_size": k} | ({"stride": s} if s != 1 else {})
    args |= {"groups": groups} if groups > 1 else {}
    args |= {"padding": g.choice(["same", "symmetric"])} if g.chance(50) else {}
    scope.now = (out, -(-height // steps[0]), -(-width // steps[1]))
    return [
        {"as": here},
        "global_avg_pool",
        "flatten",
        {"linear": {"out_features": numbers}, "as": weight},
        {"from": [here, weight], "dynamic_conv2d": args},
    ]


@feature(LAYERS)
def cropped_like(m: Maker, scope: Scope) -> Made:
    """As many rows and columns as another value has."""
    if not scope.is_map:
        return None
    g, (channels, height, width) = m.g, scope.now
    here, small = m.name("here"), m.name("small")
    stride = g.integer(1, 3)
    size = [-(-n // stride) for n in (height, width)]
    args = {"like": small} | g.some(
        top=g.integer(0, height - size[0]), left=g.integer(0, width - size[1])
    )
    scope.now = (channels, *size)
    return [
        {"as": here},
        {"subsample": {"stride": stride}, "as": small},
        {"from": here, "crop": args},
    ]
