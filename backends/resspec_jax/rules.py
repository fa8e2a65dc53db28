"""How each op is written in Flax NNX: a table of strings, so that no JAX is needed to emit.

Layouts are NHWC and HWIO. A size is a number when a network is traced, so what depends on it is
computed then, in Python.
"""

from __future__ import annotations

from resspec.backend import RuleTable

from .elementwise import ELEMENTWISE
from .layers import LAYERS
from .shapes import SHAPES
from .tokens import TOKENS

RULES: RuleTable = {**ELEMENTWISE, **LAYERS, **SHAPES, **TOKENS}
