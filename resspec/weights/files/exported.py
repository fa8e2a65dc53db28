"""What PyTorch's exporter saves: a zip with the program as JSON and the numbers of every tensor.

Source: torch/export/pt2_archive/_package.py and torch/_export/serde/schema.py, of version 8. Its
own loader unpickles some of what may be in it and links compiled code; here both are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from resspec.weights.files.source import Opened, Unreadable, shown, whole
from resspec.weights.files.tensors import Lazy, array_of, extents, measured
from resspec.weights.files.zips import Archive

PROGRAM = 64 << 20  # bytes of the program as JSON
TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32",
    8: "float64", 12: "bool", 13: "bfloat16",
}  # fmt: skip
VERSION = 8


@dataclass(frozen=True)
class Exported:
    """A program as data, and its tensors by name; `stored`: the types that they are stored in."""

    program: Mapping[str, Any]
    weights: Mapping[str, NDArray[Any]]
    constants: Mapping[str, NDArray[Any]]
    stored: frozenset[str]


def read_exported(path: Path) -> Exported:
    """Nothing of it runs. Errors: Unreadable, SpecError(io-error)."""
    with Opened(path) as file:
        archive = Archive(file)
        root = _root(archive)
        program = _json(archive, f"{root}models/model.json")
        version = program.get("schema_version")
        major = version.get("major") if isinstance(version, dict) else None
        if major != VERSION:
            raise Unreadable(f"it is written in version {shown(major)} of the exporter's format; "
                             f"{VERSION} is read", "save it with a newer PyTorch")  # fmt: skip
        lazy = {kind: _tensors(archive, root, kind) for kind in ("weights", "constants")}
        every = [*lazy["weights"].items(), *lazy["constants"].items()]
        # tensors stand in it as they are, so that they take no more than the file
        measured(every, 2 * file.size)
        weights, constants = (
            {name: array_of(name, one) for name, one in tensors.items()}
            for tensors in lazy.values()
        )
    return Exported(program, weights, constants, frozenset(one.dtype for _, one in every))


def _root(archive: Archive) -> str:
    found = [name for name in archive.members if name.endswith("models/model.json")]
    if len(found) != 1:
        raise Unreadable("it is no exported program: `models/model.json` is not in it",
                         "write it with `torch.export.save(program, FILE)`")  # fmt: skip
    return found[0].removesuffix("models/model.json")


def _json(archive: Archive, name: str) -> dict[str, Any]:
    if name not in archive.members:
        raise Unreadable(f"`{shown(name)}` is not in it")
    data = archive.open(name)
    if data.size > PROGRAM:
        raise Unreadable(f"`{shown(name)}` in it takes {data.size:,} bytes")
    try:
        found = json.loads(whole(data, 0, data.size))
    except (ValueError, RecursionError) as problem:
        raise Unreadable(f"`{shown(name)}` in it is no JSON") from problem
    if not isinstance(found, dict):
        raise Unreadable(f"`{shown(name)}` in it is damaged")
    return found


def _tensors(archive: Archive, root: str, kind: str) -> dict[str, Lazy]:
    """Tensors of a kind, not yet read."""
    config = _json(archive, f"{root}data/{kind}/model_{kind}_config.json").get("config")
    if not isinstance(config, dict):
        raise Unreadable(f"its list of {kind} is damaged")
    found: dict[str, Lazy] = {}
    for name, entry in config.items():
        place = entry.get("path_name") if isinstance(entry, dict) else None
        member = f"{root}data/{kind}/{place}"
        meta = entry.get("tensor_meta") if isinstance(entry, dict) else None
        if not isinstance(meta, dict) or entry.get("use_pickle") is not False:
            raise Unreadable(f"`{shown(name)}` in it is pickled, and pickles can run code",
                             "export a model whose tensors are plain ones")  # fmt: skip
        if member not in archive.members:
            raise Unreadable(f"it lacks the numbers of `{shown(name)}`")
        (offset,) = _numbers([meta.get("storage_offset")])
        dtype = TYPES.get(meta.get("dtype", 0), f"type {meta.get('dtype')}")
        found[name] = Lazy(
            dtype, _numbers(meta.get("sizes")), archive.open(member), offset,
            _numbers(meta.get("strides")),
        )  # fmt: skip
    return found


def _numbers(found: object) -> tuple[int, ...]:
    """`[{"as_int": 3}, …]`."""
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unreadable("a tensor's shape is damaged")
    return extents([one.get("as_int") for one in found])
