"""Safetensors, what is no weight file or no file, and folders."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tests.weights.attacks.names import DAMAGED, DAMAGED_SHAPE, SYSTEM, UNKNOWN, attack, simple
from tests.weights.crafted import entry, plain, safetensors, sparse

# Safetensors.

ST = "it is no whole safetensors file: "
simple("a_header_of_an_exabyte", f"{ST}it claims a header of", lambda folder: safetensors(
    folder, b"{}", length=1 << 60))  # fmt: skip
simple("a_header_longer_than_the_file", f"{ST}it claims a header of", lambda folder: safetensors(
    folder, b"{}", length=500))  # fmt: skip
simple("a_header_of_five_megabytes", f"{ST}it claims a header of", lambda folder: safetensors(
    folder, b'{"a":' + b"[" * 5_000_000))  # fmt: skip
simple("a_header_nested_deep", f"{ST}its header is no JSON", lambda folder: safetensors(
    folder, b'{"a":' + b"[" * 1_000_000))  # fmt: skip
simple("a_header_of_empty_lists", f"{ST}`a` is not described", lambda folder: safetensors(
    folder, b'{"a":[' + b"[]," * 1_300_000 + b"[]]}"))  # fmt: skip
simple("a_header_that_is_no_utf8", f"{ST}its header is no JSON", lambda folder: safetensors(
    folder, b'{"\xff\xfe": 1}'))  # fmt: skip
simple("a_header_of_nan", f"{ST}its header is no JSON", lambda folder: safetensors(
    folder, b'{"a": NaN}'))  # fmt: skip
simple("a_tensor_that_is_there_twice", f"{ST}its header is no JSON", lambda folder: safetensors(
    folder, b'{"a": {}, "a": {}}'))  # fmt: skip
simple("places_that_overlap", f"{ST}`b` begins at 8, not at 16", lambda folder: safetensors(
    folder, {"a": entry(), "b": entry(shape=[2], begin=8)}))  # fmt: skip
simple("a_gap_between_tensors", f"{ST}`a` begins at 4, not at 0", lambda folder: safetensors(
    folder, {"a": entry(shape=[3], begin=4)}))  # fmt: skip
simple("bytes_after_the_last_tensor", f"{ST}it holds 16 bytes of numbers, not 8",
       lambda folder: safetensors(folder, {"a": entry(shape=[2], end=8)}))  # fmt: skip
simple("a_place_before_the_file", "place is damaged", lambda folder: safetensors(
    folder, {"a": entry(begin=-16)}))  # fmt: skip
simple("a_place_that_is_no_number", "place is damaged", lambda folder: safetensors(
    folder, {"a": entry(begin=0.5)}))  # fmt: skip
simple("a_place_beyond_the_file", f"{ST}`a` is not described", lambda folder: safetensors(
    folder, {"a": entry(shape=[1 << 40], end=1 << 42)}))  # fmt: skip
simple("a_shape_that_takes_more", f"{ST}`a` of shape [9] takes 16 bytes", lambda folder: (
    safetensors(folder, {"a": entry(shape=[9])})))  # fmt: skip
simple("a_shape_whose_product_overflows", f"{ST}`a` of shape", lambda folder: safetensors(
    folder, {"a": entry(shape=[1 << 33, 1 << 33])}))  # fmt: skip
simple("a_type_that_is_a_list", f"{ST}`a` is not described", lambda folder: safetensors(
    folder, {"a": entry(dtype=["F32"])}))  # fmt: skip
simple("a_type_of_float8", "`a` is stored as F8_E4M3", lambda folder: safetensors(
    folder, {"a": entry(dtype="F8_E4M3", shape=[16])}))  # fmt: skip
simple("metadata_that_is_no_map", f"{ST}its metadata", lambda folder: safetensors(
    folder, {"__metadata__": 7}, b""))  # fmt: skip
simple("a_sparse_file_of_a_terabyte", f"{ST}it claims a header", lambda folder: sparse(
    folder / "a.safetensors", 1 << 40, struct.pack("<Q", 1 << 30) + b"{"))  # fmt: skip
simple("a_sparse_tensor_of_a_terabyte", "its tensors claim", lambda folder: _zeros(
    folder, "F32", 1 << 38, 4))  # fmt: skip


simple("as_much_as_is_allowed", "", lambda folder: _zeros(folder, "BF16", 32 << 20, 2))
simple("more_than_is_allowed", "its tensors claim", lambda folder: _zeros(
    folder, "BF16", 34 << 20, 2))  # fmt: skip


def _zeros(folder: Path, dtype: str, count: int, width: int) -> Path:
    path = safetensors(folder, {"a": entry(dtype, [count], end=count * width)}, b"")
    return sparse(path, path.stat().st_size + count * width, path.read_bytes())


# What is no weight file, or no file.

simple("nothing", "it is empty", lambda folder: plain(folder, b""))
simple("one_byte", DAMAGED, lambda folder: plain(folder, b"\x80"))
simple("zeros", "it begins with zeros alone", lambda folder: sparse(folder / "a.pth", 1 << 40))
simple("text", UNKNOWN, lambda folder: plain(folder, b"no checkpoint"))
simple("a_web_page", "it is a web page", lambda folder: plain(folder, b"<!doctype html><html>"))
simple("a_pointer_of_git_lfs", "it is the pointer of a file in Git LFS", lambda folder: plain(
    folder, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"))  # fmt: skip
simple("a_gzip_file", "it is compressed by gzip", lambda folder: plain(folder, b"\x1f\x8b\x08\0"))
simple("a_tar_archive", "it is a tar archive", lambda folder: plain(
    folder, bytes(257) + b"ustar\x0000" + bytes(248)))  # fmt: skip
simple("a_missing_file", "No such file", lambda folder: folder / "none.pth")
simple("a_name_with_a_null", "cannot read", lambda folder: folder / "a\0b.pth")
simple("a_device", "it is a device, not a file", lambda folder: Path("/dev/zero"))


@attack("it is a FIFO, not a file")
def a_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "a.pth")
    return folder / "a.pth"


@attack("cannot read")
def a_link_to_itself(folder: Path) -> Path:
    (folder / "a.pth").symlink_to(folder / "a.pth")
    return folder / "a.pth"


# Folders.


def index(folder: Path, text: str, held: bool = True) -> Path:
    inner = folder / "trained"
    inner.mkdir()
    (inner / "model.safetensors.index.json").write_text(text)
    if held:
        safetensors(inner, {"a": entry()}).rename(inner / "m-1.safetensors")
    return inner


MAP = '{"weight_map": {"a": "%s"}}'
simple("an_index", "", lambda folder: index(folder, MAP % "m-1.safetensors"))
simple("an_index_that_leads_out", "which is not in the folder", lambda folder: index(
    folder, MAP % "../a.safetensors"))  # fmt: skip
simple("an_index_to_the_root", "which is not in the folder", lambda folder: index(
    folder, MAP % "/etc/passwd"))  # fmt: skip
simple("an_index_to_the_folder", "which is not in the folder", lambda folder: index(
    folder, MAP % "."))  # fmt: skip
simple("an_index_to_what_is_missing", "No such file", lambda folder: index(folder, MAP % "m-2"))
simple("an_index_that_is_no_json", "is no JSON", lambda folder: index(folder, "[" * 100_000))
simple("an_index_of_nothing", "lists no tensors", lambda folder: index(folder, "[1, 2]"))
simple("an_empty_folder", "it is a folder without a file of weights", lambda folder: folder)


@attack("which is not in the folder")
def an_index_to_a_link(folder: Path) -> Path:
    inner = index(folder, MAP % "m-2.safetensors")
    safetensors(folder, {"a": entry()})
    (inner / "m-2.safetensors").symlink_to(folder / "a.safetensors")
    return inner


@attack("it is a folder of 2 weight files: `model.safetensors`, `model_1.safetensors`")
def a_folder_of_two_models(folder: Path) -> Path:
    for label in ("model.safetensors", "model_1.safetensors"):
        safetensors(folder, {"a": entry()}).rename(folder / label)
    return folder


@attack("")
def a_folder_of_a_trainer(folder: Path) -> Path:
    safetensors(folder, {"a": entry()}).rename(folder / "model.safetensors")
    for label in ("optimizer.bin", "training_args.bin", "rng_state.pth"):
        (folder / label).write_bytes(SYSTEM + b".")
    return folder


simple("nothing_of_a_shape_that_overflows", DAMAGED_SHAPE, lambda folder: safetensors(
    folder, {"a": entry(shape=[0, 1 << 61, 1 << 61], end=0)}, b""))  # fmt: skip
simple("an_extent_of_five_thousand_digits", f"{ST}its header is no JSON", lambda folder: (
    safetensors(folder, b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b"]}}")))  # fmt: skip
simple("an_extent_that_is_infinite", DAMAGED_SHAPE, lambda folder: safetensors(
    folder, b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,16]}}'))  # fmt: skip
simple("more_behind_the_header", f"{ST}its header is no JSON", lambda folder: safetensors(
    folder, b"{} trailing"))  # fmt: skip
