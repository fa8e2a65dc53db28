"""`--calibrate`: what is taken for examples, and one answer for what is none."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resspec import calibration
from resspec.diagnostics import SpecError
from tests.refused import refused

Patch = pytest.MonkeyPatch
SHAPE = (3, 8, 6)


def test_arrays_come_in_either_layout_and_folders_in_the_order_of_their_names(
    tmp_path: Path,
) -> None:
    first = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
    np.savez(tmp_path / "b.npz", x=first)
    np.save(tmp_path / "a.npy", np.moveaxis(first[0], 0, -1))
    (tmp_path / "notes.txt").write_text("no example")
    found = calibration.read(tmp_path, SHAPE)
    np.testing.assert_array_equal(found, np.concatenate([first[:1], first]))
    np.testing.assert_array_equal(calibration.read(tmp_path / "b.npz", SHAPE), first)


def test_of_several_arrays_with_names_the_input_is_taken(tmp_path: Path) -> None:
    first, second = (np.full((1, *SHAPE), float(i), "float32") for i in range(2))
    said: list[str] = []
    np.savez(tmp_path / "io.npz", y=np.arange(2), x=first)
    np.testing.assert_array_equal(calibration.read(tmp_path / "io.npz", SHAPE, said.append), first)
    np.savez(tmp_path / "plain.npz", second, first)
    found = calibration.read(tmp_path / "plain.npz", SHAPE, said.append)
    np.testing.assert_array_equal(found, np.concatenate([second, first]))
    assert [line.partition("npz: ")[2] for line in said] == [
        "took `x` of its arrays, `y`, `x`",
        "took all of its arrays, `arr_0`, `arr_1`",
    ]
    np.savez(tmp_path / "two.npz", images=first, masks=second)
    with pytest.raises(SpecError, match=r"(?s)holds 2 arrays, `images`, `masks`: .* call it `x`"):
        calibration.read(tmp_path / "two.npz", SHAPE)


def test_no_more_files_are_read_than_are_taken(tmp_path: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(calibration, "MOST", 3)
    for name in ("a", "b", "c"):
        np.save(tmp_path / f"{name}.npy", np.zeros((2, *SHAPE), "float32"))
    (tmp_path / "c.npy").write_bytes(b"not looked at")
    assert len(calibration.read(tmp_path, SHAPE)) == 3


def test_images_are_scaled_and_normalised_as_for_imagenet(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (20, 10), (255, 0, 51)).save(tmp_path / "one.png")
    image.new("L", (4, 4), 255).save(tmp_path / "two.jpg")
    found = calibration.read(tmp_path, SHAPE)
    assert found.shape == (2, *SHAPE)
    wanted = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(found[0, :, 3, 3], wanted, rtol=1e-6)
    assert calibration.read(tmp_path, (1, 8, 6)).shape == (2, 1, 8, 6)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6, 10**6, 4)}
        )


def bomb(path: Path) -> None:
    inner = path.with_suffix(".inner")
    huge(inner)
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "x.npy")
    inner.unlink()


def locked(path: Path) -> None:
    """A zip that says it is encrypted."""
    np.savez(path, x=np.zeros(SHAPE, "float32"))
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + at] |= 1
    path.write_bytes(data)


def deep(path: Path) -> None:
    """Pillow would cut its numbers off at 255."""
    from PIL import Image

    Image.fromarray(np.full((8, 6), 30_000, "uint16")).save(path)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "pickle.npy": lambda path: np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True),
    "huge.npy": huge,
    "bomb.npz": bomb,
    "other.npz": lambda path: zipfile.ZipFile(path, "w").writestr("../x.py", "print()"),
    "cut.npz": lambda path: path.write_bytes(b"PK\x03\x04"),
    "text.npy": lambda path: path.write_text("0, 1, 2"),
    "shape.npy": lambda path: np.save(path, np.zeros((3, 4, 4))),
    "words.npy": lambda path: np.save(path, np.array(["a", "b"])),
    "nan.npy": lambda path: np.save(path, np.full(SHAPE, np.nan)),
    "none.npz": lambda path: np.savez(path),
    "no_example.npz": lambda path: np.savez(path, x=np.zeros((0, *SHAPE), "float32")),
    "bytes.npz": lambda path: np.savez(path, x=np.zeros(SHAPE, "uint8")),
    "labels.npz": lambda path: np.savez(path, np.zeros(SHAPE, "float32"), np.arange(2)),
    "complex.npy": lambda path: np.save(path, np.zeros(SHAPE, "complex64")),
    "large.npy": lambda path: np.save(path, np.full(SHAPE, 1e300)),
    "empty.npz": lambda path: path.write_bytes(b""),
    "locked.npz": locked,
    "fifo.npy": os.mkfifo,
    "fifo.png": os.mkfifo,
    "device.npz": lambda path: path.symlink_to("/dev/zero"),
    "deep.png": deep,
    "broken.png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n and no more"),
    "model.py": lambda path: path.write_text("raise SystemExit"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_example_is_one_line(name: str, tmp_path: Path) -> None:
    if name.endswith("png"):
        pytest.importorskip("PIL")
    path = tmp_path / name
    HOSTILE[name](path)
    problem = refused(calibration.read, path, SHAPE)
    assert name in problem.message
    assert "\n" not in problem.message


def test_a_folder_without_examples_and_none_at_all_are_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="holds no examples"):
        calibration.read(tmp_path, SHAPE)
    with pytest.raises(SpecError, match="does not exist"):
        calibration.read(tmp_path / "gone", SHAPE)
    (tmp_path / "cat").mkdir()
    with pytest.raises(SpecError, match=r"(?s)holds folders, .*name one, `cat`"):
        calibration.read(tmp_path, SHAPE)


def test_images_for_a_network_of_other_channels_ask_for_arrays(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (4, 4)).save(tmp_path / "one.png")
    with pytest.raises(SpecError, match="4 channels"):
        calibration.read(tmp_path, (4, 8, 8))
