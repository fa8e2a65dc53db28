"""What Keras saves, read without Keras; and HDF5 files that lead elsewhere or claim much."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec.diagnostics import SpecError
from resspec.weights.files import Checkpoint, read
from tests.refused import refused
from tests.weights.memory import Peak

h5py = pytest.importorskip("h5py")

BUDGET = 1 << 20
KERNEL = np.arange(54, dtype=np.float32).reshape(3, 3, 2, 3)
MEAN = np.arange(3, dtype=np.float32)
GB = 1 << 30


def weights(path: Path, *, optimizer: bool = True) -> Path:
    """As `model.save_weights("….weights.h5")` of Keras 3 writes it."""
    layers = {"conv2d": ("stem", [KERNEL]), "conv2d_1": ("conv", [KERNEL, MEAN]),
              "conv2d_10": ("late", [KERNEL]), "batch_normalization": ("norm", [MEAN + i for i in range(4)]),
              "functional/layers/dense": ("head", [KERNEL[0, 0], MEAN])}  # fmt: skip
    with h5py.File(path, "w") as file:
        for group, (name, arrays) in layers.items():
            inside = file.create_group(f"layers/{group}/vars")
            inside.attrs["name"] = name
            for number, array in enumerate(arrays):
                inside[str(number)] = array
        file.create_group("layers/functional/vars").attrs["name"] = "top"
        if optimizer:
            file["optimizer/vars/0"] = KERNEL * 0
            file["layers/functional/optimizer/vars/0"] = KERNEL * 0  # it was compiled by itself
    return path


NAMES = {
    "stem/kernel": KERNEL, "conv/kernel": KERNEL, "conv/bias": MEAN, "late/kernel": KERNEL,
    "norm/gamma": MEAN, "norm/beta": MEAN + 1, "norm/moving_mean": MEAN + 2,
    "norm/moving_variance": MEAN + 3, "top/head/kernel": KERNEL[0, 0], "top/head/bias": MEAN,
}  # fmt: skip


def same(found: Checkpoint) -> None:
    assert found.layout == "HWIO"
    assert sorted(found.tensors) == sorted(NAMES)
    for name, array in NAMES.items():
        np.testing.assert_array_equal(found.tensors[name], array)


def test_weights_are_called_as_keras_calls_its_variables(tmp_path: Path) -> None:
    found = read(weights(tmp_path / "a.weights.h5"), budget=BUDGET)
    same(found)
    kernels = [name for name in found.tensors if name.endswith("/kernel")]
    assert kernels == ["stem/kernel", "conv/kernel", "late/kernel", "top/head/kernel"]


def test_a_keras_archive(tmp_path: Path) -> None:
    inner = weights(tmp_path / "inner")
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(inner, "model.weights.h5")
    same(read(tmp_path / "a.keras", budget=BUDGET))


def test_a_whole_model_of_keras_2(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = ["z_conv", "a_norm"]
        for layer, arrays in {
            "z_conv": {"kernel": KERNEL, "bias": MEAN},
            "a_norm": {"gamma": MEAN},
        }.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0" for name in arrays]
            for name, array in arrays.items():
                group[f"{layer}/{name}:0"] = array
        file["optimizer_weights/adam/m"] = KERNEL
    found = read(tmp_path / "a.h5", budget=BUDGET)
    assert list(found.tensors) == ["z_conv/kernel", "z_conv/bias", "a_norm/gamma"]


def test_bfloat16_of_keras(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["layers/dense/vars/0"] = np.array([0x3F80, 0x4000], "<u2").view("V2")
        file["layers/dense/vars/0"].attrs["dtype"] = "bfloat16"
    found = read(tmp_path / "a.h5", budget=BUDGET)
    assert found.tensors["dense/kernel"].tolist() == [1, 2]
    assert found.dtypes == {"dense/kernel": "bfloat16"}


@pytest.mark.parametrize("options", [
    {}, {"compression": "gzip"}, {"shuffle": True}, {"compression": "gzip", "shuffle": True},
    {"compression": "gzip", "maxshape": (None,) * 4},
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2"])
def test_arrays_in_blocks(tmp_path: Path, options: dict[str, Any], dtype: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        whole = KERNEL.astype(dtype)
        file.create_dataset("layers/a/w", data=whole, chunks=(2, 3, 1, 2), **options)
        growing = {"chunks": (1, 1, 1, 1), **options, "maxshape": (None,) * 4}
        file.create_dataset("layers/b/w", data=whole[:, :0], **growing)
    found = read(tmp_path / "a.h5", budget=BUDGET).tensors
    np.testing.assert_array_equal(found["a/w"], KERNEL)
    assert found["b/w"].shape == (3, 0, 2, 3)


def external_link(file: Any) -> None:
    file["layers/w"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file: Any) -> None:
    file["layers/w"] = h5py.SoftLink("/layers")


def external_storage(file: Any) -> None:
    file.create_dataset("layers/w", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "w", (4,))
    file.create_virtual_dataset("layers/w", layout)


def bomb(file: Any) -> None:
    """4 GB of zeros in 4 MB."""
    size = 1 << 11
    found = file.create_dataset("layers/w", (1 << 15, 1 << 15), "f4", chunks=(size, size),
                                compression="gzip")  # fmt: skip
    packed = zlib.compress(bytes(4 * size * size), 9)
    for row, column in np.ndindex(16, 16):
        found.id.write_direct_chunk((row * size, column * size), packed)


def one_large_block(file: Any) -> None:
    made = file.create_dataset("layers/w", (4,), "f4", maxshape=(None,), chunks=(1 << 26,),
                               compression="gzip")  # fmt: skip
    made.id.write_direct_chunk((0,), zlib.compress(bytes(1 << 28), 9))


def a_block_that_holds_more(file: Any) -> None:
    made = file.create_dataset("layers/w", (4,), "f4", chunks=(2,), compression="gzip")
    for start in (0, 2):
        made.id.write_direct_chunk((start,), zlib.compress(bytes(1 << 12), 9))


def a_block_that_holds_less(file: Any) -> None:
    made = file.create_dataset("layers/w", (4,), "f4", chunks=(4,), compression="gzip")
    made.id.write_direct_chunk((0,), zlib.compress(bytes(8)))


def a_damaged_block(file: Any) -> None:
    made = file.create_dataset("layers/w", (4,), "f4", chunks=(4,), compression="gzip")
    made.id.write_direct_chunk((0,), b"no deflate")


def missing_blocks(file: Any) -> None:
    made = file.create_dataset("layers/w", (1 << 40,), "f4", chunks=(4,), compression="gzip")
    made[:4] = 1


def another_filter(file: Any) -> None:
    file.create_dataset("layers/w", data=KERNEL, compression="lzf")


def empty(file: Any) -> None:
    file["layers/w"] = h5py.Empty("f4")


def never_written(file: Any) -> None:
    file.create_dataset("layers/w", (1 << 40,), "f4")


def text(file: Any) -> None:
    file["layers/weight"] = "evil"


def records(file: Any) -> None:
    file["layers/weight"] = np.zeros(3, [("a", "f4"), ("b", "O", 1)][:1])


def references(file: Any) -> None:
    file["layers/weight"] = np.array([file.ref], h5py.ref_dtype)


def nothing(file: Any) -> None:
    file.create_group("layers")


def groups(file: Any) -> None:
    group = file
    for _ in range(60):
        group = group.create_group("a")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (external_link, "`layers/w` is a link, which is not followed"),
        (soft_link, "`layers/w` is a link, which is not followed"),
        (external_storage, "`w` has its numbers in another file, which is not read"),
        (virtual, "`w` is put together from other files, which are not read"),
        (bomb, "its tensors claim 4.0 GB"),
        (one_large_block, "its tensors are spread over 768.0 MB"),
        (a_block_that_holds_more, "a block of an array in it is not what it should be"),
        (a_block_that_holds_less, "a block of an array in it is not what it should be"),
        (a_damaged_block, "a block of an array in it is not what it should be"),
        (missing_blocks, "`w` was never written in full"),
        (another_filter, "`w` is packed by a filter that is not read"),
        (empty, "`w` is empty"),
        (never_written, "`w` was never written"),
        (text, "`weight` is"),
        (records, "`weight` is"),
        (references, "`weight` is"),
        (nothing, "no tensors"),
        (groups, "it nests too many groups"),
    ],
)
def test_a_hostile_hdf5_file(tmp_path: Path, make: Callable[[Any], None], says: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file)
    peak = Peak()
    assert says in str(SpecError(refused(read, tmp_path / "a.h5", budget=BUDGET)))
    assert peak.above() < 256


def test_groups_that_hold_each_other_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["layers/a/w"] = KERNEL
        file["layers/a/again"] = file["layers"]
    assert list(read(tmp_path / "a.h5", budget=BUDGET).tensors) == ["a/w"]


@pytest.mark.parametrize("cut", [9, 100, 2000, -3000])
def test_a_file_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = weights(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SpecError, match="it is damaged, or no HDF5 file that can be read"):
        read(path, budget=BUDGET)


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SpecError, match="h5py is not installed") as caught:
        read(weights(tmp_path / "a.h5"), budget=BUDGET)
    assert "pip install h5py" in str(caught.value)
