"""`--calibrate`: what is taken for examples, and one answer for what is none."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from resspec import calibration
from resspec.diagnostics import SpecError
from tests.refused import refused

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
    np.savez(tmp_path / "io.npz", y=second, x=first)
    np.testing.assert_array_equal(calibration.read(tmp_path / "io.npz", SHAPE), first)
    np.savez(tmp_path / "plain.npz", second, first)
    found = calibration.read(tmp_path / "plain.npz", SHAPE)
    np.testing.assert_array_equal(found, np.concatenate([second, first]))
    np.savez(tmp_path / "two.npz", images=first, masks=second)
    with pytest.raises(SpecError, match=r"holds 2 arrays, `images`, `masks`: .* call it `x`"):
        calibration.read(tmp_path / "two.npz", SHAPE)


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


def test_images_for_a_network_of_other_channels_ask_for_arrays(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (4, 4)).save(tmp_path / "one.png")
    with pytest.raises(SpecError, match="4 channels"):
        calibration.read(tmp_path, (4, 8, 8))
