"""Safetensors: eight bytes, a JSON header, then the numbers of every tensor without a gap.

Source: https://github.com/huggingface/safetensors, README, "Format".
"""

from __future__ import annotations

import json
import struct
from typing import Any

from resspec.weights.files.source import Opened, Part, Unreadable, shown
from resspec.weights.files.tensors import Lazy, extents

HEADER = 4 << 20  # bytes; the largest real ones are a tenth of that
TAGS = {
    "F16": ("float16", 2), "BF16": ("bfloat16", 2), "F32": ("float32", 4), "F64": ("float64", 8),
    "I8": ("int8", 1), "I16": ("int16", 2), "I32": ("int32", 4), "I64": ("int64", 8),
    "U8": ("uint8", 1), "U16": ("uint16", 2), "U32": ("uint32", 4), "U64": ("uint64", 8),
    "BOOL": ("bool", 1),
}  # fmt: skip
WHOLE = "it is no whole safetensors file: "


def looks_so(start: bytes) -> bool:
    """Whether a file that begins like that may be one: a length, and the header's brace."""
    a_pickle = start[:1] == b"\x80" and any(start[2:8])
    return start[8:9] == b"{" and not a_pickle


def read(file: Opened) -> tuple[dict[str, Lazy], dict[str, str]]:
    """Its tensors, not yet read, in the order of their places; and its metadata."""
    (length,) = struct.unpack("<Q", file.read(0, 8))
    if length > HEADER or 8 + length > file.size:
        raise Unreadable(f"{WHOLE}it claims a header of {length:,} bytes")
    try:
        header = json.loads(
            file.read(8, length).decode("utf-8"),
            object_pairs_hook=_once, parse_constant=_no_number,
        )  # fmt: skip
    except (ValueError, RecursionError) as problem:
        raise Unreadable(f"{WHOLE}its header is no JSON that it could have") from problem
    if not isinstance(header, dict):
        raise Unreadable(f"{WHOLE}its header is no object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise Unreadable(f"{WHOLE}its metadata is no object")
    numbers = Part(file, 8 + length, file.size - 8 - length)
    placed = [_placed(name, entry, numbers) for name, entry in header.items()]
    placed.sort(key=lambda one: one[:2])
    end = 0
    for begin, stop, name, _ in placed:
        if begin != end:
            raise Unreadable(f"{WHOLE}`{shown(name)}` begins at {begin:,}, not at {end:,}")
        end = stop
    if end != numbers.size:
        raise Unreadable(f"{WHOLE}it holds {numbers.size:,} bytes of numbers, not {end:,}")
    texts = {key: one for key, one in metadata.items() if isinstance(one, str)}
    return {name: tensor for _, _, name, tensor in placed}, texts


def _placed(name: str, entry: Any, numbers: Part) -> tuple[int, int, str, Lazy]:
    wrong = Unreadable(f"{WHOLE}`{shown(name)}` is not described as a tensor")
    if not isinstance(entry, dict):
        raise wrong
    tag, offsets = entry.get("dtype"), entry.get("data_offsets")
    shape = extents(entry.get("shape"))
    begin, stop = extents(offsets, "place") if _is_pair(offsets) else (1, 0)
    if not isinstance(tag, str) or not 0 <= begin <= stop <= numbers.size:
        raise wrong
    dtype, width = TAGS.get(tag, (tag, 0))
    tensor = Lazy(dtype, shape, Part(numbers, begin, stop - begin))
    if width and tensor.size * width != stop - begin:
        raise Unreadable(f"{WHOLE}`{shown(name)}` of shape {list(shape)} takes "
                         f"{stop - begin:,} bytes")  # fmt: skip
    return begin, stop, name, tensor


def _is_pair(found: object) -> bool:
    return isinstance(found, list) and len(found) == 2


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
