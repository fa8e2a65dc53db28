"""Random valid uses of every op: arguments that fit an input's shape, and the shape that results.

To add an op, write one function under `@operator(NAME)` in the file of its family. It gets the
chooser and the input's shape, and gives the arguments and the output's shape, or None where the
op does not take such an input.
"""

from tests.properties.generate.ops.registry import MAX_CHANNELS, MAX_EXTENT, OPERATORS

from tests.properties.generate.ops import elementwise, moving, norms, tokens, windowed  # isort: skip

__all__ = [
    "MAX_CHANNELS",
    "MAX_EXTENT",
    "OPERATORS",
    "elementwise",
    "moving",
    "norms",
    "tokens",
    "windowed",
]
