"""A folder that a trainer left: which file in it holds the weights, or which, with an index.

Hugging Face's Trainer and Accelerate write `model.safetensors` or `pytorch_model.bin`; large
models are cut into shards, listed by `model.safetensors.index.json`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from resspec.weights.files.source import Opened, Unreadable, shown

INDEX = 4 << 20  # bytes
SHARDS = 1024
ENTRIES = 10_000
INDEXES = (".safetensors.index.json", ".bin.index.json")
PREFERRED = ("weights.safetensors", "model.safetensors", "pytorch_model.safetensors",
             "pytorch_model.bin", "open_clip_model.safetensors", "model.keras")  # fmt: skip
ENDINGS = (".safetensors", ".bin", ".pth", ".pt", ".ckpt", ".tar", ".npz", ".h5", ".keras")
BESIDE = re.compile(r"(optimizer|scheduler|scaler|sampler|rng_state|random_state|training_args).*")
CHECKPOINT = ("a checkpoint of TensorFlow's own format",
              "save the weights: `model.save_weights('trained.weights.h5')`")  # fmt: skip
ORBAX = ("a checkpoint of Orbax",
         "restore it: `resspec.build(…, weights=StandardCheckpointer().restore(FOLDER))` takes "
         "such a tree")  # fmt: skip
MSGPACK = ("it is packed by msgpack, as Flax does",
           "unpack it: `resspec.build(…, weights=msgpack_restore(…))` takes a tree")  # fmt: skip
PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\..*)")
OF_TENSORFLOW = re.compile(r"(\.index|\.data-\d{5}-of-\d{5})$")
OTHERS = {
    "saved_model.pb": ("a SavedModel, which holds code",
                       "save the weights: `model.save_weights('trained.weights.h5')`"),
    "checkpoint": CHECKPOINT,
    "_CHECKPOINT_METADATA": ORBAX,
    "_METADATA": ORBAX,
    ".metadata": ("a distributed checkpoint of PyTorch",
                  "gather it: `torch.distributed.checkpoint.format_utils.dcp_to_torch_save`"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Files:
    """Those that hold the weights together. `again`: those that hold them once more, if a folder's
    names are right: `pytorch_model.bin` beside `model.safetensors`. `beside`: its other ones.
    `listed`: tensors that an index says are there."""

    taken: list[Path]
    again: tuple[list[Path], ...] = ()
    beside: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()

    def described(self) -> str:
        """What was taken of a folder, for people: "" where there was nothing to choose."""
        words = [f"as {_named(one)} has them" for one in self.again]
        if self.beside:
            some = ", ".join(f"`{shown(name)}`" for name in self.beside[:5])
            words.append(f"not of {some}{', …' * (len(self.beside) > 5)}")
        return f"took the weights of {_named(self.taken)}, {', '.join(words)}" if words else ""

    def differ(self, again: list[Path], why: str) -> Unreadable:
        """What to say where one of `again` holds others."""
        both = f"{_named(self.taken)} and {_named(again)}"
        return Unreadable(f"it holds {both}, which are not the same: {why}", "name one of them")


def _named(paths: list[Path]) -> str:
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"`{shown(paths[0].name)}`{more}"


def files(path: Path) -> Files:
    """What to read: of a folder, of an index, or the file itself. Errors: Unreadable; OSError."""
    if path.name.endswith(INDEXES):
        names, paths = _shards(path.parent, path.name)
        return Files(paths, listed=names)
    if path.is_dir():
        return _of_folder(path)
    if path.suffix == ".msgpack":
        raise Unreadable(*MSGPACK)
    prefix = OF_TENSORFLOW.sub("", path.name)
    if path.with_name(f"{prefix}.index").exists() and (prefix != path.name or not path.exists()):
        raise Unreadable("it is " + CHECKPOINT[0], CHECKPOINT[1])
    return Files([path])


def _of_folder(folder: Path) -> Files:
    names = sorted(path.name for path in islice(folder.iterdir(), ENTRIES))
    held = [name for name in names if name.endswith(ENDINGS) and not BESIDE.fullmatch(name)]
    several = [name for name in held if re.fullmatch(r"(pytorch_)?model_\d+\..*", name)]
    indexes = [name for ending in INDEXES for name in names if name.endswith(ending)]
    listed, found = tuple[str, ...](), list[list[Path]]()
    for index in indexes:
        names_of, paths = _shards(folder, index)
        listed = listed or names_of
        found.append(paths)
    if not found and held and (parts := _parts(held)):
        found = [[folder / name for name in parts]]
    if not several:
        found += [[folder / name] for name in PREFERRED if name in held]
    if not found and len(held) == 1:
        found = [[folder / held[0]]]
    if found:
        known = {one.name for paths in found for one in paths}
        beside = tuple(one for one in held if one not in known)
        return Files(found[0], tuple(found[1:]), beside, listed)
    for name, (what, help) in OTHERS.items():
        if name in names and not held:
            raise Unreadable(f"it is {what}", help)
    for step in (one for one in names if one.isdecimal() and not held):
        if (folder / step / "_CHECKPOINT_METADATA").exists():
            raise Unreadable(f"it is {ORBAX[0]}", ORBAX[1])
    if held:
        some = ", ".join(f"`{shown(name)}`" for name in held[:5])
        raise Unreadable(f"it is a folder of {len(held)} weight files: {some}", "name one of them")
    if below := _below(folder):
        some = ", ".join(f"`{shown(name)}`" for name in below[:5])
        raise Unreadable(f"it is a folder of folders; weights may be in {some}", "name one of them")
    raise Unreadable("it is a folder without a file of weights")


def _parts(held: list[str]) -> list[str] | None:
    """Names that say they are all of one (`model-00001-of-00002.bin`), in their order; None where
    they are not. Errors: Unreadable where some are missing."""
    found = [PART.fullmatch(name) for name in held]
    if not all(found) or len({(one[1], one[3], one[4]) for one in found if one}) != 1:
        return None
    there, count = {int(one[2]) for one in found if one}, int(found[0][3]) if found[0] else 0
    missing = next((number for number in range(1, count + 1) if number not in there), None)
    if missing:
        raise Unreadable(f"it holds {len(held)} of {count} files that belong together; the first "
                         f"that is missing is number {missing}")  # fmt: skip
    return sorted(held)


def _below(folder: Path) -> list[str]:
    """Files that may hold weights in folders of the folder, or in theirs: of pipelines (Diffusers),
    experiments (MLflow, Lightning) and partitions (DeepSpeed)."""
    found = (path for deep in ("*/*", "*/*/*") for path in islice(folder.glob(deep), ENTRIES))
    held = [one for one in found if one.name.endswith(ENDINGS) and not BESIDE.fullmatch(one.name)]
    return sorted(one.relative_to(folder).as_posix() for one in held if one.is_file())


def _shards(folder: Path, index: str) -> tuple[tuple[str, ...], list[Path]]:
    """Tensors that an index lists, and their files: these lie in the folder, whatever they are
    called."""
    with Opened(folder / index) as file:
        if file.size > INDEX:
            raise Unreadable(f"its index `{shown(index)}` is too large")
        try:
            listed = json.loads(file.read(0, file.size))
        except (ValueError, RecursionError) as problem:
            raise Unreadable(f"its index `{shown(index)}` is no JSON") from problem
    places = listed.get("weight_map") if isinstance(listed, dict) else None
    if not isinstance(places, dict) or not places:
        raise Unreadable(f"its index `{shown(index)}` lists no tensors")
    names = list(dict.fromkeys(str(name) for name in places.values()))
    if len(names) > SHARDS:
        raise Unreadable(f"its index `{shown(index)}` lists {len(names):,} files")
    return tuple(map(str, places)), [_inside(folder, name) for name in names]


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    home = folder.resolve()
    if home.parent.name == "snapshots":  # Hugging Face's cache: links into the blobs beside
        home = home.parent.parent
    plain = bool(name) and not set(name) & set("/\\\0") and name not in (".", "..")
    if not plain or not path.resolve().is_relative_to(home):
        raise Unreadable(f"its index names `{shown(name)}`, which is not in the folder")
    return path
