"""The whole table of rules."""

from __future__ import annotations

from resspec.backend import RuleTable

from .elementwise import ELEMENTWISE
from .layers import LAYERS
from .rules import BASIC
from .shapes import SHAPES
from .tokens import TOKENS

RULES: RuleTable = {**BASIC, **ELEMENTWISE, **LAYERS, **SHAPES, **TOKENS}
