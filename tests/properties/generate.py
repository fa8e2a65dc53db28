"""Random valid specs over the whole language, small enough to build in milliseconds.

`specs()` is a hypothesis strategy of YAML texts; `make` draws one from any `Chooser`, so that a
long run need not go through hypothesis.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.properties.operators import ACTIVATIONS, OPERATORS, Chooser, Shape, divisor

Item = Any  # a layer as YAML data
MAX_LAYERS = 40


class Drawn:
    """Choices by hypothesis, which shrinks them."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def choice(self, options: Any) -> Any:
        return options[self.integer(0, len(options) - 1)]

    def chance(self, percent: int) -> bool:
        return self.integer(0, 99) >= 100 - percent


class Seeded(Drawn):
    """Choices by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def integer(self, low: int, high: int) -> int:
        return self.random.randint(low, high)


@dataclass
class Scope:
    """What a list of layers can see. `numbers` are names of expressions with their values."""

    now: Shape
    numbers: dict[str, Any]
    values: dict[str, Shape] = field(default_factory=dict)
    items: dict[str, tuple[Shape, Shape]] = field(default_factory=dict)
    norm: str = "batch_norm"
    can_reuse: bool = True

    def inner(self, **changes: Any) -> Scope:
        return replace(self, **{"values": dict(self.values), "items": dict(self.items)} | changes)


@st.composite
def specs(draw: Any) -> str:
    """YAML of a random valid model."""
    return make(Drawn(draw))


def make(g: Chooser) -> str:
    """YAML of a random valid model."""
    data = Maker(g).model()
    return str(yaml.safe_dump(data, sort_keys=False, width=1000, default_flow_style=None))


class Maker:
    """One spec being made. `budget` bounds its layers."""

    def __init__(self, g: Chooser) -> None:
        self.g = g
        self.blocks: dict[str, Any] = {}
        self.names = 0
        self.budget = MAX_LAYERS

    def name(self, word: str) -> str:
        self.names += 1
        return f"{word}{self.names}"

    # -- the model -------------------------------------------------------------------------

    def model(self) -> dict[str, Any]:
        g = self.g
        shape: Shape = (g.integer(1, 4), g.integer(8, 16), g.integer(8, 16))
        data: dict[str, Any] = {"model": "net", "doc": "Made at random.", "input": [*shape]}
        numbers: dict[str, Any] = {}
        if g.chance(40):
            data["params"] = {"wide": g.integer(1, 9), "sizes": [g.integer(1, 9), 4]}
            numbers = {"wide": data["params"]["wide"], "sizes[0]": data["params"]["sizes"][0]}
            data["let"] = {"twice": "2 * wide"}
            numbers["twice"] = 2 * numbers["wide"]
        if g.chance(30):
            data["defaults"] = self.defaults()
        data["num_classes"] = numbers["num_classes"] = g.integer(1, 7)
        scope = Scope(shape, numbers, norm=self.norm_of(data))
        if g.chance(70):
            body, out = self.part(scope)
            data["stem"] = body
            scope.now = scope.values["stem"] = out
        if len(scope.now) == 3 and min(scope.now[1:]) > 1 and g.chance(60):
            self.stages(data, scope)
        if g.chance(60) or not {"stem", "stages"} & data.keys():
            data["head"], out = self.head(scope)
            scope.now = scope.values["head"] = out
        if g.chance(25):
            data["outputs"] = self.outputs(scope, data)
        if self.blocks:
            data["blocks"] = self.blocks
        return data

    def part(self, scope: Scope) -> tuple[Item, Shape]:
        """A stem or a head: a block of its own, or a list of layers."""
        if self.g.chance(50):
            return self.block(scope)
        inner = scope.inner(values={}, items={})
        return self.layers(inner, 4), inner.now

    def head(self, scope: Scope) -> tuple[Item, Shape]:
        if len(scope.now) == 3 and self.g.chance(50):
            return "classifier", (scope.numbers["num_classes"],)
        return self.part(scope)

    def outputs(self, scope: Scope, data: dict[str, Any]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        for name in ("first", "second")[: self.g.integer(1, 2)]:
            named = [*scope.values]
            named += ["stages"] if "stages" in data else []
            if named and self.g.chance(50):
                found[name] = self.g.choice(named)
            else:
                found[name] = self.layers(scope.inner(items={}), 2)
        return found

    def defaults(self) -> dict[str, Item]:
        g = self.g
        norms = [
            "layer_norm",
            {"group_norm": {"groups": 1}},
            "rms_norm",
            {"batch_norm": {"eps": 1e-3}},
        ]
        found = {
            "norm": g.choice(norms),
            "act": g.choice(["silu", {"leaky_relu": {"slope": 0.2}}, "gelu"]),
        }
        if g.chance(50):
            found["conv"] = g.choice(
                [{"conv2d": {"bias": True}}, "std_conv2d", "scaled_std_conv2d"]
            )
        return found

    @staticmethod
    def norm_of(data: Mapping[str, Any]) -> str:
        bound = data.get("defaults", {}).get("norm", "batch_norm")
        return str(next(iter(bound)) if isinstance(bound, dict) else bound)

    # -- stages ----------------------------------------------------------------------------

    def stages(self, data: dict[str, Any], scope: Scope) -> None:
        """Residual stages of one block that fits any map: SAME-like convolutions throughout."""
        g = self.g
        block, expansion = self.residual_block()
        data["block"] = block
        if g.chance(50):
            data["shortcut"] = g.choice(["projection", "projection_always", "avg_projection"])
        stages: list[dict[str, Any]] = []
        for number in range(g.integer(1, 3)):
            depth, stride = g.integer(1, 2), g.integer(1, 2)
            width = 2 * g.integer(1, 4)
            size = [-(-n // stride) for n in scope.now[1:]]
            stage: dict[str, Any] = {"depth": depth, "width": self.written(width, scope.numbers)}
            if g.chance(25):
                stage["width"] = f"{width} + index - depth + 1"
            if stride > 1 or g.chance(20):
                stage["stride"] = stride
            if g.chance(20):
                stage["name"] = f"level{number}"
            if g.chance(15):
                del stage["depth"]
                stage["blocks"] = [{"depth": depth}, {"block": block, "width": width}]
                stage["width"] = width
            scope.now = (width * expansion, *size)
            if "name" in stage:
                scope.values[stage["name"]] = scope.now
            stages.append(stage)
        data["stages"] = stages

    def residual_block(self) -> tuple[str, int]:
        """A block with `width`, `stride` and perhaps more; its output has width × expansion."""
        g = self.g
        name = self.name("unit")
        expansion = g.integer(1, 2)
        body: list[Item] = []
        for turn in range(g.integer(1, 3)):
            conv = {"out_channels": "width", "kernel_size": g.choice([1, 3, 5])}
            if turn == 0:
                conv["stride"] = "stride"
            body += [{"conv": conv}]
            body += g.choice([["norm", "act"], ["norm"], ["act"], ["layer_norm", "gelu"]])
        body += [{"conv": {"out_channels": "width * expansion", "kernel_size": 1}}]
        if g.chance(40):
            body += [{"norm": {}, "offer": {"no_such_argument": 1}}]
        if g.chance(50):
            body += ["attention"]
        if g.chance(20):
            body += [{"drop_path": {"rate": "0.1 * block_index / num_blocks"}}]
        params: dict[str, Any] = {"width": {"type": "int", "min": 1}, "stride": 1}
        params |= {"expansion": expansion, "shortcut": {"type": "block", "default": "projection"}}
        gate = g.choice(["identity", "se", "eca", self.gate("in_channels * 0 + channels")])
        params["attention"] = {"type": "block", "default": gate}
        layers: list[Item] = [{"residual": {"body": body, "shortcut": ["shortcut"]}}]
        self.blocks[name] = {"params": params, "layers": [*layers, "act"]}
        if "attention" not in body:
            del params["attention"]
        return name, expansion

    @staticmethod
    def gate(channels: Any) -> Item:
        conv = {"conv2d": {"out_channels": channels, "kernel_size": 1, "bias": True}}
        return [{"mul": [[], ["global_avg_pool", conv, "sigmoid"]]}]

    # -- blocks ----------------------------------------------------------------------------

    def block(self, scope: Scope) -> tuple[Item, Shape]:
        """A call of a new block that fits the current value, some numbers of it being params."""
        g = self.g
        name = self.name("block")
        params: dict[str, Any] = {}
        args: dict[str, Any] = {}
        numbers: dict[str, Any] = {"in_channels": scope.now[0]}
        if "num_classes" in scope.numbers:
            numbers["num_classes"] = scope.numbers["num_classes"]
        for _ in range(g.integer(0, 2)):
            param, value = self.name("p"), g.integer(1, 9)
            numbers[param] = value
            if g.chance(50):
                params[param] = g.choice([value, {"type": "int", "default": value, "max": 9}])
            else:
                params[param] = {"type": "int", "min": 1}
                args[param] = self.written(value, scope.numbers)
        block: dict[str, Any] = {"params": params} if params else {}
        if g.chance(30):
            block["let"] = {"more": "in_channels + 1"}
            numbers["more"] = scope.now[0] + 1
        inner = Scope(scope.now, numbers, norm=scope.norm)
        block["layers"] = self.layers(inner, 4)
        self.blocks[name] = block
        return {name: args} if args else name, inner.now

    def written(self, value: int, numbers: Mapping[str, Any]) -> Any:
        """An integer, or one of many expressions that give it."""
        g = self.g
        if g.chance(60):
            return value
        equal = [name for name, known in numbers.items() if known == value]
        if equal and g.chance(60):
            return g.choice(equal)
        if numbers and g.chance(40):
            name = g.choice([*numbers])
            return f"{name} + {value - numbers[name]}".replace("+ -", "- ")
        k = g.integer(2, 5)
        forms = [
            f"{value + k} - {k}",
            f"{value * k} / {k}",
            f"{value * k + k - 1} // {k}",
            f"min({value}, {value + k})",
            f"max([{value}, {value - k}])",
            f"{value} if {k} > 1 and not false else {k}",
            f"[{k}, {value}][-1]",
            f"round({value}.25)",
            f"ceil({value} - 0.5)",
            f"abs(-{value})",
            f"floor(sqrt({value} * {value}))",
            f"make_divisible({value}, 1, 0)",
            f"sum([{value - 1}, len([{k}])])",
        ]
        return str(g.choice(forms))

    # -- layers ----------------------------------------------------------------------------

    def layers(self, scope: Scope, most: int, least: int = 1) -> list[Item]:
        """Layers one after the other; `scope.now` ends as what they give."""
        found: list[Item] = []
        for _ in range(self.g.integer(least, most)):
            if self.budget <= 0:
                break
            found += self.layer(scope)
        return found or ["tanh"]

    def layer(self, scope: Scope) -> list[Item]:
        self.budget -= 1
        g = self.g
        kinds = [self.op] * 8 + [self.residual, self.merge, self.repeat, self.dense, self.when]
        kinds += [self.split, self.scoped, self.named, self.call, self.attention, self.two_inputs]
        kinds += [self.reuse, self.like, self.role, self.role]
        return list(g.choice(kinds)(scope))

    def op(self, scope: Scope) -> list[Item]:
        """Any op that takes the current value."""
        g = self.g
        names = [*OPERATORS]
        first = g.integer(0, len(names) - 1)
        for name in names[first:] + names[:first]:
            use = OPERATORS[name](g, scope.now)
            if use is None or use[1][0] > 64:
                continue
            args, out = use
            numbers = scope.numbers | {"channels": scope.now[0]}
            args = {
                key: self.written(value, numbers) if type(value) is int else value
                for key, value in args.items()
            }
            item: Item = {name: args} if args or g.chance(10) else name
            return [self.labelled(item, scope, out)]
        raise AssertionError("relu takes anything")

    def labelled(self, item: Item, scope: Scope, out: Shape) -> Item:
        """The item, perhaps named; the scope moves on to what it gives."""
        before, scope.now = scope.now, out
        if not self.g.chance(20):
            return item
        label = self.name("v")
        scope.values[label] = out
        scope.items[label] = (before, out)
        return ({item: {}} if isinstance(item, str) else item) | {"as": label}

    def role(self, scope: Scope) -> list[Item]:
        g = self.g
        if len(scope.now) == 1:
            return ["act"]
        found: list[Item] = [
            {"conv": {"out_channels": g.integer(1, 9), "kernel_size": g.choice([1, 3])}}
        ]
        scope.now = (found[0]["conv"]["out_channels"], *scope.now[1:])
        return [*found, *g.choice([["norm", "act"], ["act"], []])]

    def bridge(self, here: Shape, there: Shape) -> list[Item]:
        """Layers from one shape to another; a vector never becomes a map."""
        found: list[Item] = []
        if len(there) == 1:
            if len(here) == 3:
                found, here = ["global_avg_pool", "flatten"], here[:1]
            return found + ([{"linear": {"out_features": there[0]}}] if here != there else [])
        if here[1:] != there[1:]:
            found.append({"resize": {"size": [*there[1:]], "mode": "bilinear"}})
        if here[0] != there[0]:
            found.append({"conv2d": {"out_channels": there[0], "kernel_size": 1}})
        return found

    def kept(self, scope: Scope, most: int = 2) -> tuple[list[Item], Scope]:
        """Layers on a map that still give a map, or layers on a vector."""
        inner = scope.inner()
        body = self.layers(inner, most)
        if len(inner.now) < len(scope.now):
            inner = scope.inner()
            body = [{"conv2d": {"out_channels": 3, "kernel_size": 3}}]
            inner.now = (3, *scope.now[1:])
        return body, inner

    def residual(self, scope: Scope) -> list[Item]:
        body, inner = self.kept(scope, 3)
        scope.items.clear()  # what branches name is visible after them, at shapes not tracked here
        parts: dict[str, Item] = {"body": body}
        way = self.bridge(scope.now, inner.now)
        if way or self.g.chance(50):
            parts["shortcut"] = way
        return [self.labelled({"residual": parts}, scope, inner.now)]

    def merge(self, scope: Scope) -> list[Item]:
        g = self.g
        op = g.choice(["add", "concat", "mul", "maximum", "sub"])
        first, inner = self.kept(scope)
        target = inner.now
        branches: list[Item] = [first]
        channels = target[0]
        for _ in range(1 if op == "sub" else g.integer(1, 2)):
            names = [name for name, shape in scope.values.items() if shape == target]
            if names and g.chance(50):
                branches.append(g.choice(names))
                channels += target[0]
                continue
            body, other = self.kept(scope)
            goal = target
            if op == "concat" and g.chance(50):
                goal = (other.now[0], *target[1:])
            if op == "mul" and len(target) == 3 and g.chance(50):
                goal = g.choice([(target[0], 1, 1), (1, *target[1:]), (1, 1, 1)])
            branches.append(body + self.bridge(other.now, goal))
            channels += goal[0]
        scope.items.clear()
        out = (channels, *target[1:]) if op == "concat" else target
        if out[0] > 64:
            return self.op(scope)
        return [self.labelled({op: branches}, scope, out)]

    def attention(self, scope: Scope) -> list[Item]:
        if len(scope.now) == 1:
            return ["softmax"]
        return self.gate(self.g.choice([scope.now[0], "channels"]))

    def repeat(self, scope: Scope) -> list[Item]:
        """Turns that keep the shape; the counter is used in conditions and widths."""
        g = self.g
        turns, counter = g.integer(0, 3), g.choice(["i", "turn"])
        body, inner = self.kept(scope.inner(items={}))
        body += self.bridge(inner.now, scope.now)
        if len(scope.now) == 3 and g.chance(40):
            wide = {"conv2d": {"out_channels": f"{counter} + 2", "kernel_size": 1}}
            back = {"conv2d": {"out_channels": scope.now[0], "kernel_size": 1}}
            body += [{"when": f"{counter} > 0", "then": [wide, back]}]
        item = {"repeat": self.written(turns, scope.numbers), "layers": body}
        item |= {"index": counter} if counter != "i" else {}
        if not g.chance(30) or not 0 < turns * scope.now[0] <= 32:
            return [item]
        label = self.name("turns")
        scope.now = (scope.now[0] * turns, *scope.now[1:])
        return [item | {"as": label}, {"concat": [label]}]

    def dense(self, scope: Scope) -> list[Item]:
        """Growth by concatenation."""
        if len(scope.now) == 1:
            return ["relu"]
        turns, growth = self.g.integer(1, 3), self.g.integer(1, 3)
        scope.now = (scope.now[0] + turns * growth, *scope.now[1:])
        grown = ["norm", "act", {"conv": {"out_channels": growth, "kernel_size": 3}}]
        return [{"repeat": turns, "layers": [{"concat": [[], grown]}]}]

    def when(self, scope: Scope) -> list[Item]:
        g = self.g
        number, value = g.choice([*(scope.numbers or {"channels": scope.now[0]}).items()])
        truth = g.chance(50)
        test = f"{number} {'==' if truth else '!='} {value}"
        test = g.choice(
            [test, f"not ({number} {'!=' if truth else '=='} {value})", f"{test} and true"]
        )
        body, inner = self.kept(scope)
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
        scope.items.clear()
        scope.now = inner.now
        return [item]

    def split(self, scope: Scope) -> list[Item]:
        """Parts that are joined again, all or some."""
        g = self.g
        channels = scope.now[0]
        chunks = divisor(g, channels, 4)
        sizes = [channels // chunks] * chunks
        if g.chance(40) and channels > 1:
            first = g.integer(1, channels - 1)
            sizes = [first, channels - first]
            args: dict[str, Any] = {"sizes": sizes}
        else:
            args = {"chunks": chunks}
        label = self.name("parts")
        at = g.integer(0, len(sizes) - 1)
        rest = scope.now[1:]
        if g.chance(50):
            return [{"split": args}, "concat"]
        found: list[Item] = [{"split": args, "as": label}]
        if g.chance(50):
            scope.now = (sizes[at], *rest)
            return [*found, {"from": f"{label}[{at}]"}]
        order = [f"{label}[{n}]" for n in range(len(sizes))][::-1]
        return [*found, {"from": order}, {"concat": None}]

    def scoped(self, scope: Scope) -> list[Item]:
        defaults = self.defaults()
        inner = scope.inner(norm=self.norm_of({"defaults": defaults}))
        body = self.layers(inner, 2)
        scope.now = inner.now
        scope.items.clear()
        return [{"defaults": defaults, "layers": body}]

    def named(self, scope: Scope) -> list[Item]:
        """Name the current value, or go back to one."""
        g = self.g
        known = [n for n, shape in scope.values.items() if len(shape) == len(scope.now)]
        if known and g.chance(50):
            name = g.choice(known)
            scope.now = scope.values[name]
            return [{"from": name}]
        label = self.name("v")
        scope.values[label] = scope.now
        return [{"as": label}]

    def reuse(self, scope: Scope) -> list[Item]:
        fitting = [name for name, (before, _) in scope.items.items() if before == scope.now]
        if not fitting:
            return self.op(scope)
        name = self.g.choice(fitting)
        scope.now = scope.items[name][1]
        return [{"reuse": name}]

    def call(self, scope: Scope) -> list[Item]:
        if len(self.blocks) > 6:
            return self.op(scope)
        item, out = self.block(scope)
        if isinstance(item, str) and self.g.chance(30):
            item = {item: {}}
        scope.now = out
        return [item]

    def like(self, scope: Scope) -> list[Item]:
        maps = [name for name, shape in scope.values.items() if len(shape) == 3]
        if len(scope.now) == 1 or not maps:
            return self.op(scope)
        name = self.g.choice(maps)
        scope.now = (scope.now[0], *scope.values[name][1:])
        return [{"resize": {"like": name, "mode": self.g.choice(["nearest", "bilinear"])}}]

    def two_inputs(self, scope: Scope) -> list[Item]:
        """A block of two inputs, given by name."""
        same = [name for name, shape in scope.values.items() if shape == scope.now]
        if len(same) < 1:
            return self.named(scope)
        name, here = self.name("join"), self.name("v")
        one = [{"mul": ["a", [{"from": "b"}, "sigmoid"]]}]
        widened = {"concat": ["b", [{"from": "a"}, {"bias": {}}]]}
        self.blocks[name] = {"inputs": ["a", "b"], "layers": one}
        call = {name: {}, "from": [here, self.g.choice(same)]}
        scope.values[here] = scope.now
        if self.g.chance(50):
            self.blocks[name]["layers"] = [widened, {"slice": {"stop": "a.channels"}}]
        return [{"as": here}, call]


__all__ = ["ACTIVATIONS", "Maker", "Seeded", "make", "specs"]
