"""Random valid specs over the whole language, small enough to build in milliseconds.

choose: where the randomness comes from. ops: one use of every op. flow, values, calls, attention: layers, a
function a feature in the table `LAYERS`. keepers: blocks that fit anywhere. stages, roles, model:
the parts of a model. names, numbers: odd names and constants. To add a feature, write a function
under `@feature(LAYERS, weight)`: it gets the `Maker` and the `Scope`, moves `scope.now` to the shape
that its items give, and returns None where it does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from tests.properties.generate import attention, calls, flow, keepers, values
from tests.properties.generate.choose import Seeded
from tests.properties.generate.maker import Maker
from tests.properties.generate.model import model
from tests.properties.generate.ops import OPERATORS
from tests.properties.generate.scope import KEEPERS, LAYERS


@dataclass(frozen=True)
class Made:
    """A spec as text, the variant of it that is meant, and the features that it was made of."""

    text: str
    variant: str | None
    features: frozenset[str]


def made(seed: int) -> Made:
    """The spec of a seed."""
    m = Maker(Seeded(seed))
    data = model(m)
    anchors = m.g.chance(15)
    if anchors:
        m.met.add("anchors")
    return Made(text_of(data, anchors), m.variant, frozenset(m.met))


def make(g: Seeded) -> str:
    """YAML of a random valid model."""
    return text_of(model(Maker(g)))


def text_of(data: object, anchors: bool = False) -> str:
    dumper = Anchored if anchors else Plain
    return str(yaml.dump(data, Dumper=dumper, sort_keys=False, width=1000, default_flow_style=None))


FAST_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Anchored(FAST_DUMPER):
    """Numbers as YAML 1.2 reads them: 1.0e-05, where PyYAML writes 1e-05."""


class Plain(Anchored):
    """No anchors: what is the same is written again."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


Anchored.add_representer(float, _float)

Plain.add_representer(float, _float)

__all__ = ["FAST_DUMPER", "KEEPERS", "LAYERS", "OPERATORS", "Made", "Seeded", "attention", "calls", "flow", "keepers", "made", "make", "values"]  # fmt: skip
