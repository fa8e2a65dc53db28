"""Mutations of valid specs: most break it, some leave it valid, none may crash the validator."""

from __future__ import annotations

import contextlib
import copy
import random
from functools import cache
from typing import Any

import yaml

from resspec.language.overlay import plain
from resspec.paths import specs_dir
from resspec.syntax import parse
from tests.properties.generate import FAST_DUMPER, Seeded, make

FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Data = Any
Place = tuple[Data, Any]  # a container and a key or an index
WORDS = """relu conv norm act body shortcut from as when then else layers params default channels
in_channels stride input out_channels kernel_size groups identity projection true null self x
__class__ lambda import repeat residual concat add split reuse index depth width""".split()
NUMBERS = (0, -1, 1, 2, 3, 7, 64, 1000, 10**6, 10**9, 2**31, 2**63, 0.5, -0.0, 1e-300, 1e300)
TEXTS = (
    *(
        "9**9**9",
        "a if b",
        "x[0]",
        "x[",
        "widths[i]",
        "1/0",
        "sqrt(-1)",
        "len([])",
        "[1]*9",
        "()",
        "",
    ),
    *("a.b.c", "lambda: 0", "__import__('os')", "é", "x\x07", "no", "010", "{}", "*a", "max(1, 2)"),
)
MARKS = tuple("{}[]:,-#&*!|>'\"%@`?~\t\n\r\x00\x85\u2028é漢 \ud800")
ODD = (  # what looks like something else, or like nothing
    *("\u00a0", "\uff1a", "\u200b", "\ufeff", "\u202e", "\u2011", "\uff10", "\u037e", "\u0301"),
    *(
        "\x1b[31m",
        "\x7f",
        "\x08",
        "\x9b",
        "\u2029",
        "\U0001f600",
        "\u0430",
        "\ufb01",
        "\u3000",
        "\r\n",
    ),
)


@cache
def shipped() -> tuple[str, ...]:
    """Shipped models at a small input, and a model around every shipped block."""
    texts = []
    for path in sorted(specs_dir().rglob("*.yaml")):
        data = plain(parse(path.read_text("utf-8"), path.name))
        assert isinstance(data, dict)
        if "model" in data:
            if isinstance(data.get("variants"), dict):
                data["variants"] = dict([*data["variants"].items()][:VARIANTS])
            texts.append(dump(data | ({"input": [3, 32, 32]} if "input" in data else {})))
        elif "blocks" not in data.get("params", {}):
            own = {key: value for key, value in data.items() if key != "block"}
            texts.append(dump(around(data.get("params", {}), own)))
    return tuple(texts)


def around(params: dict[str, Any], block: Data) -> Data:
    """A model whose stem is a convolution and whose stages, or head, are the block."""
    model = {"model": "base", "input": [3, 32, 32], "num_classes": 4, "blocks": {"mine": block}}
    model["stem"] = [{"conv": {"out_channels": 32, "kernel_size": 3}}]
    if "width" in params:
        stage = {"depth": 2, "width": 32}
        return model | {"block": "mine", "stages": [stage, stage | {"stride": 2}]}
    return model | {"head": "mine"}


def dump(data: Data) -> str:
    """YAML, by libyaml where it writes the same: it escapes what lies beyond the plane of most
    characters, and takes no half of a surrogate."""

    def by(dumper: Any) -> str:
        options = {"sort_keys": False, "width": 1000, "allow_unicode": True}
        return str(yaml.dump(data, Dumper=dumper, **options))

    with contextlib.suppress(UnicodeEncodeError):
        text = by(FAST_DUMPER)
        if "\\N" not in text and "\\U0" not in text:
            return text
    return by(yaml.SafeDumper)


def mutant(seed: int) -> str:
    """One to three mutations of a shipped or a generated spec."""
    rng = random.Random(seed)
    text = rng.choice(shipped()) if rng.random() < 0.6 else make(Seeded(rng.randrange(10**9)))
    if rng.random() < 0.15:
        for _ in range(rng.randint(1, 3)):
            text = torn(text, rng)
        return text
    data = yaml.load(text, Loader=FAST_LOADER)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if found := places(data):
            rng.choice(MUTATIONS)(*rng.choice(found), rng, found)
    return dump(data)


def places(data: Data) -> list[Place]:
    """Every container with each of its keys."""
    found: list[Place] = []
    if isinstance(data, dict | list):
        for key in list(data) if isinstance(data, dict) else range(len(data)):
            found += [(data, key), *places(data[key])]
    return found


def drop(holder: Data, key: Any, rng: random.Random, found: list[Place]) -> None:
    del holder[key]


def rename(holder: Data, key: Any, rng: random.Random, found: list[Place]) -> None:
    if isinstance(holder, dict):
        name = rng.choice((*WORDS, misspelt(str(key), rng)))
        items = [(name if old == key else old, value) for old, value in holder.items()]
        holder.clear()
        holder.update(items)
    elif isinstance(holder[key], str):
        holder[key] = rng.choice((*WORDS, misspelt(holder[key], rng)))


def misspelt(word: str, rng: random.Random) -> str:
    at = rng.randint(0, len(word))
    return rng.choice((word[:at] + word[at + 1 :], word[:at] + "e" + word[at:], word[::-1]))


def retype(holder: Data, key: Any, rng: random.Random, found: list[Place]) -> None:
    old = holder[key]
    others = (None, True, str(old)[:50], [old], {"a": old}, [], {}, 3, 2.5, "relu", [[]])
    holder[key] = copy.deepcopy(rng.choice(others))


def swap(holder: Data, key: Any, rng: random.Random, found: list[Place]) -> None:
    other, there = rng.choice(found)
    holder[key], other[there] = copy.deepcopy(other[there]), copy.deepcopy(holder[key])


def copied(holder: Data, key: Any, rng: random.Random, found: list[Place]) -> None:
    other, there = rng.choice(found)
    value = copy.deepcopy(other[there])
    if isinstance(holder, list):
        holder.insert(key, value)
    else:
        holder[str(there)] = value


def scale(holder: Data, key: Any, rng: random.Random, found: list[Place]) -> None:
    numbers = [
        (at, k)
        for at, k in found
        if type(at.get(k) if isinstance(at, dict) else at[k]) in (int, float)
    ]
    if numbers:
        holder, key = rng.choice(numbers)
        old = holder[key]
        holder[key] = rng.choice((*NUMBERS, old + 1, old - 1, old * 2, old * 10, -old, old / 3))


def write(holder: Data, key: Any, rng: random.Random, found: list[Place]) -> None:
    holder[key] = rng.choice((*TEXTS, *WORDS))


def taint(holder: Data, key: Any, rng: random.Random, found: list[Place]) -> None:
    """An odd character in a key or a text."""
    if isinstance(holder, dict) and isinstance(key, str) and rng.random() < 0.5:
        items = [(spoilt(old, rng) if old == key else old, value) for old, value in holder.items()]
        holder.clear()
        holder.update(items)
    else:
        holder[key] = spoilt(str(holder[key])[:80], rng)


def spoilt(word: str, rng: random.Random) -> str:
    at = rng.randint(0, len(word))
    return word[:at] + rng.choice((*ODD, *MARKS)) + word[at:]


def family(holder: Data, key: Any, rng: random.Random, found: list[Place]) -> None:
    """Variants and bases: of siblings, of oneself, of files, of what is none."""
    top = found[0][0]
    if not isinstance(top, dict):
        return
    table = top.get("variants")
    names = [*table] if isinstance(table, dict) else []
    texts = [*map(str, (*names, top.get("model"), "a", "b"))]
    others = (
        *texts,
        *ODD,
        "resnet18",
        "resnet18.yaml#x",
        "../x.yaml",
        "/dev/zero",
        "",
        None,
        3,
        [],
    )
    there = str(holder[key])[:20] if isinstance(holder, dict) else "a"
    kind = rng.randrange(6)
    if kind == 0:
        top["extends"] = rng.choice(others)
    elif kind == 1:
        one = {"extends": rng.choice(others)}
        top["variants"] = {"a": one, "b": {"extends": "a"}, rng.choice(texts): copy.deepcopy(one)}
    elif kind == 2 and names:
        table[rng.choice(names)] = rng.choice(
            (None, [], 3, {str(key): None}, {"params": {there: 1}})
        )
    elif kind == 3 and names:
        name = rng.choice(names)
        old = table[name] if isinstance(table[name], dict) else {}
        table[name] = {"extends": rng.choice(others)} | old
    elif kind == 4:
        value = copy.deepcopy(holder[key])
        top["variants"] = {"a": {str(key): value, "extends": rng.choice(others)}, "b": None}
    else:
        places = (
            *texts,
            "stages",
            "stages[0]",
            "stages[-9]",
            "input",
            "head[0]",
            [],
            {},
            None,
            [[]],
        )
        outputs = {name: rng.choice(places) for name in rng.sample([*texts, "out", *ODD], 2)}
        top["outputs"] = rng.choice((outputs, {}, [], "stem"))


MUTATIONS = (drop, rename, retype, swap, copied, scale, scale, write, taint, family)
VARIANTS = 3  # of a shipped file: each is validated


def torn(text: str, rng: random.Random) -> str:
    """A change of the text itself."""
    lines = text.split("\n")
    at, row = rng.randrange(len(text)), rng.randrange(len(lines))
    kind = rng.randrange(5)
    if kind == 0:
        return text[:at] + rng.choice((*MARKS, *ODD)) + text[at:]
    if kind == 1:
        return text[:at] + text[at + rng.randint(1, 5) :]
    if kind == 2:
        return "\n".join([*lines[:row], " " * rng.randint(0, 3) + lines[row], *lines[row:]])
    if kind == 3:
        return "\n".join([*lines[:row], lines[row][rng.randint(0, 2) :], *lines[row + 1 :]])
    return text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
