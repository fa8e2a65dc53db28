"""The table of ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.properties.generate.choose import Seeded
from tests.properties.generate.windows import Shape

Use = tuple[dict[str, Any], Shape]
Make = Callable[[Seeded, Shape], Use | None]
MAX_CHANNELS, MAX_EXTENT = 64, 24
OPERATORS: dict[str, Make] = {}


def operator(*names: str, maps: bool = False) -> Callable[[Make], Make]:
    """Register what makes uses; with `maps` it is only asked about feature maps."""

    def register(make: Make) -> Make:
        def fitting(g: Seeded, t: Shape) -> Use | None:
            use = None if maps and len(t) == 1 else make(g, t)
            if use is None:
                return None
            channels, *extents = use[1]
            large = channels > MAX_CHANNELS if extents else channels > 512
            return None if large or max(extents, default=0) > MAX_EXTENT else use

        OPERATORS.update(dict.fromkeys(names, fitting))
        return make

    return register
