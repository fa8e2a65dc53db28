"""Stages: residual blocks of one's own or of the library, stage blocks, entries of several kinds."""

from __future__ import annotations

from typing import Any

from tests.properties.generate import keepers
from tests.properties.generate.maker import Maker
from tests.properties.generate.roles import defaults
from tests.properties.generate.scope import KEEPERS, Item, Scope
from tests.properties.generate.windows import both

SHORTCUTS = ("projection", "projection_always", "avg_projection", "max_pool_projection", "gated",
             {"projection": {}}, "identity_or_none", "zero")  # fmt: skip


def stages(m: Maker, data: dict[str, Any], scope: Scope) -> None:
    """Residual stages of one block that fits any map."""
    g = m.g
    block, expansion = stock(m) if g.chance(25) else unit(m)
    data["block"] = g.choice([block, {block: {}}])
    wide = g.chance(30)  # strides of two numbers
    if g.chance(60):
        names = [own_shortcut(m), "projection", "projection_always"] if wide else SHORTCUTS
        data["shortcut"] = g.choice(names)
    arranged = stage_block(m) if g.chance(30) else None
    found: list[dict[str, Any]] = []
    for _ in range(g.choice([1, 1, 2, 3])):
        number = len(found)  # its index: stages of no block count, too
        depth, stride = g.choice([1, 1, 2, 3]), g.choice([1, 2, 2, 3])
        if wide and g.chance(50):
            stride = [g.integer(1, 2), g.integer(1, 3)]
        width = 2 * g.integer(1, 4)
        down, across = both(stride)
        size = [-(-n // s) for n, s in zip(scope.now[1:], (down, across), strict=True)]
        stage: dict[str, Any] = {"depth": m.written(depth, scope), "width": m.written(width, scope)}
        last = f"{width}"
        if g.chance(40):
            last = g.choice([
                f"{width} + depth - index - 1", f"{width} if index == depth - 1 else 3",
                f"{width} + stage_index - {number}", f"[1, {width}][index // (depth - 1)]" if depth > 1 else last,
                f"{width} + num_blocks * 0 + block_index - block_index",
                f"{width} - depths[stage_index] + depth", f"{width} + input.height - input.height",
            ])  # fmt: skip
            stage["width"] = last if "max" not in last else width
            m.met.add("width by place")
        if (down, across) != (1, 1) or g.chance(20):
            stage["stride"] = stride
        if g.chance(40):
            stage["name"] = m.name("level")
        if g.chance(20):
            stage["block"] = g.choice([block, {block: {}}])
        if g.chance(25):
            del stage["depth"]
            stage.pop("block", None)
            entry = {"block": {block: {"width": width}} if g.chance(50) else block, "width": width}
            first = {"depth": depth} | ({"block": block} if g.chance(40) else {})
            stage["blocks"] = [first, entry]
            stage["width"] = width
            m.met.add("blocks of a stage")
            if g.chance(40):
                stage["block"] = stage["blocks"][0].pop("block", block)
                m.met.add("block beside blocks")
            if g.chance(40):  # an entry that is not there
                gone = {
                    "depth": g.choice([0, "0 * stage_index", f"{depth} - {depth}"]),
                    "block": block,
                }
                stage["blocks"].insert(g.integer(0, 2), gone)
                m.met.add("vanishing entry")
        if arranged and g.chance(70):
            stage["stage"] = arranged
        scope.now = (width * expansion, *size)
        if "name" in stage:
            scope.values[stage["name"]] = scope.now
        found.append(stage)
        if g.chance(15):  # a stage of no block: what was before it
            empty = {"depth": 0, "width": 4} | ({"name": m.name("level")} if g.chance(50) else {})
            if "name" in empty:
                scope.values[empty["name"]] = scope.now
            found.append(empty)
            m.met.add("vanishing stage")
    if g.chance(20):
        counted(m, scope, found, expansion)
    data["stages"] = found


def counted(m: Maker, scope: Scope, found: list[dict[str, Any]], expansion: int) -> None:
    """One line that is several stages; its name is a tuple."""
    g = m.g
    many, name = g.integer(0, 3), m.name("levels")
    widths = [2 * g.integer(1, 4) for _ in range(many)]
    first = len(found)
    line: dict[str, Any] = {
        "count": m.written(many, scope),
        "depth": g.choice([1, 1, 2]),
        "name": name,
    }
    line["width"] = f"{widths}[stage_index - {first}]" if widths else 4
    strided = g.chance(50)
    line |= {"stride": f"1 if stage_index == {first} else 2"} if strided else {}
    shapes = []
    for number, width in enumerate(widths):
        size = [-(-n // 2) if strided and number else n for n in scope.now[1:]]
        scope.now = (width * expansion, *size)
        shapes.append(scope.now)
    scope.tuples[name] = shapes
    found.append(line)
    m.met.add("counted stages")


def stock(m: Maker) -> tuple[str, int]:
    """A block of the library."""
    m.met.add("block of the library")
    return m.g.choice([("basic", 1), ("bottleneck", 4), ("bottleneck_v1", 4)])


def unit(m: Maker) -> tuple[str, int]:
    """A block with `width`, `stride` and perhaps more; its output has width × expansion."""
    g = m.g
    name = m.name("unit")
    expansion = g.integer(1, 2)
    body: list[Item] = []
    turns = g.integer(1, 3)
    strided = g.integer(0, turns - 1)
    for turn in range(turns):
        conv: dict[str, Any] = {"out_channels": "width", "kernel_size": g.choice([1, 3, 5, [1, 3]])}
        if turn == strided:
            conv["stride"] = "stride"
        elif g.chance(20):
            conv["dilation"] = g.choice(["stage_index + 1", "index + 1", "1 + block_index % 2"])
            m.met.add("dilation by place")
            body += [{"conv2d": conv}, "act"]
            continue
        body += [{"conv": conv}]
        body += g.choice([["norm", "act"], ["norm"], ["act"], ["layer_norm", "gelu"]])
    body += [{"conv": {"out_channels": "width * expansion", "kernel_size": 1}}]
    if g.chance(40):
        body += [{"norm": {}, "offer": {"no_such_argument": 1, "init": "zero"}}]
        m.met.add("offer to a role")
    params: dict[str, Any] = {"width": {"type": "int", "min": 1},
                              "stride": {"type": "size", "default": 1}}  # fmt: skip
    params |= {"expansion": expansion}
    if g.chance(50):
        if not m.keepers:
            m.pick(KEEPERS)
        params["attention"] = {"type": "block", "default": keepers.reference(m)}
        body += ["attention"]
    if g.chance(30):
        body += g.choice([
            [{"drop_path": {"rate": "0.1 * block_index / num_blocks"}}],
            [{"drop_path": {"rate": "block_index / max(num_blocks - 1, 1)"}}],
            [{"when": "index > 0", "then": ["gain"], "else": ["bias"]}],
            [{"when": "stride != 1", "layer_scale": {"value": 0.5}}],
            [{"when": "in_channels == width * expansion", "grn": None}],
            [{"when": "index % 2 == 1 and stage_index >= 0", "se": {"ratio": 0.5}}],
        ])  # fmt: skip
        m.met.add("when by place")
    layers: list[Item] = [{"residual": {"body": body, "shortcut": ["shortcut"]}}]
    params["shortcut"] = {"type": "block", "default": "projection"}
    block: dict[str, Any] = {"params": params}
    if g.chance(20):
        block["defaults"] = defaults(m)
    m.blocks[name] = block | {"layers": [*layers, *g.choice([["act"], [], ["norm", "act"]])]}
    return name, expansion


def own_shortcut(m: Maker) -> str:
    """Bridges anything: subsampled, then convolved where the channels differ."""
    name = m.name("way")
    layers: list[Item] = m.g.choice([
        [{"when": "stride != 1", "subsample": {"stride": "stride"}},
         {"when": "in_channels != out_channels",
          "then": [{"conv": {"out_channels": "out_channels", "kernel_size": 1}}, "norm"]}],
        [{"when": "stride != 1 or in_channels != out_channels",
          "then": [{"conv": {"out_channels": "out_channels", "kernel_size": 3, "stride": "stride"}}]}],
        [{"max_pool": {"kernel_size": 1, "stride": "stride"}},
         {"when": "in_channels > out_channels", "slice": {"stop": "out_channels"},
          "else": [{"pad_channels": {"after": "out_channels - in_channels"}}]}],
    ])  # fmt: skip
    m.blocks[name] = {"layers": layers}
    m.met.add("shortcut of one's own")
    return name


def stage_block(m: Maker) -> Item:
    """A block that arranges the blocks of a stage, with params of its own."""
    g = m.g
    name = m.name("stage")
    m.met.add("stage block of one's own")
    loop = {"repeat": "len(blocks)", "layers": ["blocks[i]"]}
    params: dict[str, Any] = {"blocks": {"type": "blocks"}}
    kind = g.integer(0, 3)
    layers: list[Item] = [loop]
    if kind == 0:  # all but the last in a loop
        layers = [{"repeat": "len(blocks) - 1", "layers": ["blocks[i]"]}, "blocks[-1]"]
    elif kind == 1:  # every result is kept
        layers = [{"repeat": "len(blocks)", "as": "all", "index": "n", "layers": ["blocks[n]"]},
                  {"from": "all[-1]"}, {"when": "len(all) > 1", "then": ["gain"]}]  # fmt: skip
    elif kind == 2:  # a param of its own
        params["after"] = {"type": "block", "default": keepers.reference(m)}
        layers = [loop, "after"]
    elif kind == 3:
        layers = [loop, {"when": "depth > 1 and stage_index == 0", "then": ["bias"]}]
    m.blocks[name] = {"params": params, "layers": layers}
    return g.choice([name, {name: {}}])
