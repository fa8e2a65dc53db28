"""A convolution, its norm and its activation, one line of a spec instead of three."""

from __future__ import annotations

from typing import Any

from resspec.language.spec import BlockSpec

NAME = "conv_norm_act"


def joined(data: Any, block: BlockSpec) -> Any:
    """YAML data in which the library's block of that name stands for what it is."""
    if isinstance(data, dict):
        return {key: joined(value, block) for key, value in data.items()}
    if not isinstance(data, list):
        return data
    found: list[Any] = []
    for item in data:
        found.append(joined(item, block))
        conv = found[-3] if len(found) > 2 else None
        if found[-2:] == ["norm", "act"] and isinstance(conv, dict) and _takes(conv, block):
            found[-3:] = [{NAME: conv["conv"]}]
    return found


def _takes(conv: dict[str, Any], block: BlockSpec) -> bool:
    """Whether the block has all arguments of this layer, and as it has them."""
    given = conv.get("conv")
    return (
        len(conv) == 1
        and isinstance(given, dict)
        and given.keys() <= block.params.keys()
        and given.get("padding", "valid") in block.params["padding"].choices
    )
