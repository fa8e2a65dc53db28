"""Tensors in files of PyTorch that are not what they say."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from tests.weights.attacks.names import DAMAGED_SHAPE, GOOD, SYSTEM, ZIP, root, simple
from tests.weights.crafted import (
    call,
    deflated_zeros,
    map_,
    name,
    older,
    plain,
    raw_zip,
    sparse,
    storage,
    tensor,
    tuple_,
    value,
)

# Tensors that are not what they say.

FIVE = "claims more numbers than it holds"
root("a_negative_offset", "a tensor's place is damaged", map_({"w": tensor(offset=-1)}))
root("negative_strides", "a tensor's strides is damaged", map_({"w": tensor((2,), (-1,))}))
root("a_negative_extent", DAMAGED_SHAPE, map_({"w": tensor((-1,))}))
root("a_shape_of_truth_values", DAMAGED_SHAPE, map_({"w": tensor((True,))}))
root("a_shape_of_text", DAMAGED_SHAPE, map_({"w": tensor(("4",))}))
root("a_shape_that_is_no_list", DAMAGED_SHAPE, map_({"w": tensor(4)}))
root("a_shape_of_a_hundred_axes", DAMAGED_SHAPE, map_({"w": tensor((1,) * 100, (1,) * 100)}))
root("an_extent_of_a_thousand_bits", DAMAGED_SHAPE, map_({"w": tensor((1 << 1000,))}))
root("more_strides_than_axes", "has no place in the file", map_({"w": tensor((2, 2), (1,))}))
root("an_offset_beyond_the_storage", "reaches to byte 32 of 16", map_({"w": tensor(offset=4)}))
root("a_stride_beyond_the_storage", "reaches to byte", map_({"w": tensor((2, 2), (1 << 40, 1))}))
root("a_storage_that_claims_more", FIVE, map_({"w": tensor(stored=storage(count=5))}))
root("a_storage_that_claims_an_exabyte", FIVE, map_({"w": tensor(stored=storage(count=1 << 60))}))
root("a_storage_of_negative_size", FIVE, map_({"w": tensor(stored=storage(count=-1))}))
root("a_storage_that_is_missing", "is not in it", map_({"w": tensor(stored=storage(key="7"))}))
root("a_storage_outside_of_the_archive", "is not in it",
     map_({"w": tensor(stored=storage(key="../../../../etc/passwd"))}))  # fmt: skip
root("a_storage_of_an_unknown_type", "is of unknown type `torch.EvilStorage`",
     map_({"w": tensor(stored=storage(kind="EvilStorage"))}))  # fmt: skip
root("one_number_expanded_to_gigabytes", "its tensors claim 7.5 GB, `w` alone 7.5 GB",
     map_({"w": tensor((40_000, 50_000), (0, 0))}))  # fmt: skip
root("one_number_expanded_to_exabytes", "its tensors claim",
     map_({"w": tensor((1 << 60, 1 << 60), (0, 0))}))  # fmt: skip
root("windows_that_overlap", "its tensors claim",
     map_({"w": tensor((1 << 15, 1 << 15), (0, 0), 0)}))  # fmt: skip
root("ten_thousand_tensors_of_one_number", "its tensors claim 9.3 GB",
     map_({f"w{i}": tensor((250_000,), (0,)) for i in range(10_000)}))  # fmt: skip
root("a_few_numbers_expanded_within_bounds", "", map_({"w": tensor((4, 4), (0, 1))}))
root("an_expanded_tensor_of_the_optimiser", "",
     map_({"model": GOOD, "optimizer": map_({"m": tensor((1 << 40,), (0,))})}))  # fmt: skip
root("a_sparse_tensor", "`w` is sparse",
     map_({"w": call("torch._utils._rebuild_sparse_tensor", value(0), value(()))}))  # fmt: skip
root("a_quantised_tensor", "`w` is quantised", map_({"w": call("torch._utils._rebuild_qtensor")}))
root("a_nested_tensor", "`w` is a nested tensor",
     map_({"w": call("torch._utils._rebuild_nested_tensor")}))  # fmt: skip
root("a_tensor_without_numbers", "`w` is on the meta device, without any numbers", map_({"w": call(
    "torch._utils._rebuild_meta_tensor_no_storage", name("torch.float32"), value((1 << 50,)),
    value((1,)), value(False))}))  # fmt: skip
root("a_storage_without_numbers", "`w` is on the meta device",
     map_({"w": tensor(stored=storage(at="meta"))}))  # fmt: skip
root("a_conjugate_view", "`w` is a lazily conjugated or negated view", map_({"w": call(
    "torch._utils._rebuild_tensor_v2", storage(), value(0), value((4,)), value((1,)), value(False),
    value(None), value({"neg": True}))}))  # fmt: skip
root("a_tensor_of_another_library", "`w` is a some.library.DTensor",
     map_({"w": b"csome.library\nDTensor\n)\x81"}))  # fmt: skip
root("keys_of_every_kind", "have no names: a key is a number",
     b"}(K\x00" + tensor() + b"\x80\x03C\x01b" + tensor() + b"N" + tensor() + b")"
     + tensor() + b"\x88" + tensor() + b"u")  # fmt: skip
root(
    "a_list_of_tensors", "have no names: a key is its place in a list", b"](" + tensor() * 3 + b"e"
)
root("a_tensor_alone", "it holds one tensor without a name", tensor())
root("an_array_of_objects", "`w` is an array of", map_({"w": call(
    "numpy.core.multiarray._reconstruct", name("numpy.ndarray"), value((0,)), value("b"))
    + tuple_(value(1), value((1,)), call("numpy.dtype", value("O8"), value(False), value(True)),
             value(False), b"](" + SYSTEM + b"e") + b"b"}))  # fmt: skip
simple("a_storage_at_the_end_of_a_terabyte", ZIP, lambda folder: sparse(
    folder / "a.pth", 1 << 40, b"PK\x03\x04"))  # fmt: skip
simple("older_storage_that_claims_more", "it is cut off",
       lambda folder: older(folder, GOOD, data=struct.pack("<q", 1 << 40)))  # fmt: skip
simple("older_storage_of_negative_size", "it is cut off",
       lambda folder: older(folder, GOOD, data=struct.pack("<q", -1)))  # fmt: skip
simple("older_storages_of_other_keys", "its list of storages is damaged",
       lambda folder: older(folder, GOOD, ("7",)))  # fmt: skip
simple("older_storage_that_never_comes", "it lacks the numbers of a tensor",
       lambda folder: older(folder, GOOD, ()))  # fmt: skip

NESTS = "it nests too much beside its tensors to find them"
TENSOR = tensor() + b"q\x09" + b"0"  # kept in the memo, so that it can be had again
root("ten_thousand_sets", NESTS, TENSOR + b"](" + b"".join(
    b"}" + value(f"w{i}") + b"h\x09s" for i in range(10_000)) + b"e")  # fmt: skip
root("a_hundred_thousand_lists", NESTS, b"](" + b"]" * 120_000 + b"e")
root("names_of_megabytes_when_joined", NESTS, TENSOR + b"".join(
    b"}" + value(f"{i}" + "n" * 4000) for i in range(20)) + b"](" + b"".join(
    b"}" + value(f"w{i}") + b"h\x09s" for i in range(5_000)) + b"e" + b"s" * 20)  # fmt: skip
root("a_key_that_is_slow_to_match", "it holds no tensors", b"}(" + b"".join(
    value("opt_" * 900 + f"{i}\n") + b"}" for i in range(2_000)) + b"u")  # fmt: skip
simple("five_thousand_wide_views", "its tensors are spread over",
       lambda folder: _wide_views(folder, packed=False))  # fmt: skip
simple("five_thousand_views_of_the_end_of_what_is_packed", "its tensors are spread over",
       lambda folder: _wide_views(folder, packed=True))  # fmt: skip
root("modules_whose_names_grow", "its model nests without end", b"".join(
    b"cm\nM\n)\x81q%c}(" % (i + 1) + value("_parameters") + b"}" + value("_modules") + (
        b"}" + value("m" * 900) + b"h%c" % i + b"s" if i else b"}")
    + b"ub" for i in range(20)))  # fmt: skip


def _wide_views(folder: Path, *, packed: bool) -> Path:
    count = 16 << 20
    shape, strides, offset = ((1,), (1,), count - 1) if packed else ((2,), (count - 1,), 0)
    held = storage(count=count)
    views = {f"w{i}": tensor(shape, strides, offset, stored=held) for i in range(5_000)}
    body = b"\x80\x02" + map_(views) + b"."
    main = ("a/data.pkl", body, {"crc": zlib.crc32(body)})
    if packed:
        numbers = ("a/data/0", deflated_zeros(64 << 20), {"method": 8, "size": 64 << 20})
        return plain(folder, raw_zip([main, numbers]))
    return plain(folder, raw_zip([main, ("a/data/0", bytes(64 << 20), {})]))


BYTES = storage(kind="UntypedStorage", count=16)
root("bytes_without_a_type", "`w` is stored as bytes", map_({"w": tensor(stored=BYTES)}))
for kind, says in (("float8_e4m3fn", "float8_e4m3fn"), ("__builtins__", "__builtins__")):
    root(f"a_type_called_{kind}", f"`w` is stored as {says}", map_({"w": call(
        "torch._utils._rebuild_tensor_v3", BYTES, value(0), value((4,)), value((1,)), value(False),
        value(None), name(f"torch.{kind}"))}))  # fmt: skip
root("code_as_a_hook", "", map_({"w": call("torch._utils._rebuild_tensor_v2", storage(), value(0),
    value((2,)), value((1,)), value(False), SYSTEM)}))  # fmt: skip
root("nothing_of_a_shape_beyond_numpy", DAMAGED_SHAPE, map_({"w": tensor(
    (0, 1 << 61, 1 << 61), (1, 1, 1))}))  # fmt: skip
root("a_storage_above_the_archive", "is not in it",
     map_({"w": tensor(stored=storage(key="../data.pkl"))}))  # fmt: skip
root("a_storage_shared_by_two_hundred", "its tensors claim", map_({
    f"w{i}": tensor((1 << 20,), (0,)) for i in range(200)}))  # fmt: skip
