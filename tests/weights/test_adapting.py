"""A first convolution fitted to other channels, against timm's own function."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import api, weights
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.weights.adapting import adapted
from tests import specs
from tests.refused import refused

STEM = "stem.conv1.weight"
DEPTH = specs.TINY.replace("stem:\n", "stem:\n  - space_to_depth: {block_size: 2}\n")


def graph(folder: Path, channels: int, text: str = specs.TINY) -> Graph:
    found: Graph = specs.load(folder, text, overrides=(f"input=[{channels}, 8, 8]",)).graph
    return found


def given(folder: Path, text: str = specs.TINY) -> Any:
    """Weights of the network on 3 channels."""
    return weights.randomise(graph(folder, 3, text))


@pytest.fixture(scope="module")
def timms() -> Any:
    """timm's function."""
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    origins = pytest.importorskip("resspec_torch.origins")
    origins._torchvision()  # beside a torch that it was not built for, which timm imports
    from timm.models._manipulate import adapt_input_conv

    return adapt_input_conv


@pytest.mark.parametrize(
    ("channels", "mode"), [(1, "sum"), (2, "repeat"), (4, "repeat"), (5, "repeat"), (8, "repeat")]
)
def test_as_timm_does(channels: int, mode: str, timms: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    arrays = given(tmp_path)
    kernel = arrays[STEM].astype("float32")
    found, names = adapted({**arrays, STEM: kernel}, graph(tmp_path, channels), mode)
    assert names == (STEM,)
    expected = timms(channels, torch.from_numpy(kernel.copy()))
    np.testing.assert_allclose(found[STEM], expected.numpy(), rtol=1e-6)
    assert found[STEM].dtype == np.float32


def test_behind_space_to_depth_as_timm_does(timms: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    kernel = given(tmp_path, DEPTH)[STEM].astype("float32")
    found, _ = adapted({STEM: kernel}, graph(tmp_path, 1, DEPTH), "sum")
    expected = timms(1, torch.from_numpy(kernel.copy()))
    np.testing.assert_allclose(found[STEM], expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("text", [specs.TINY, DEPTH])
@pytest.mark.parametrize("channels", [1, 3, 6, 7])
def test_equal_channels_are_answered_alike(text: str, channels: int, tmp_path: Path) -> None:
    """What RGB of one grey gave, its copies give: to one channel by `sum`, to a multiple of three
    by `repeat`; to others `repeat` keeps the size of the sum only about."""
    kernel = given(tmp_path, text)[STEM].astype("float64")
    mode = "sum" if channels == 1 else "repeat"
    found, _ = adapted({STEM: kernel}, graph(tmp_path, channels, text), mode)
    made = found.get(STEM, kernel)
    assert made.shape[1] == kernel.shape[1] // 3 * channels
    if channels != 7:
        np.testing.assert_allclose(made.sum(1), kernel.sum(1), rtol=1e-9, atol=1e-12)


def test_nothing_else_is_touched(tmp_path: Path) -> None:
    arrays = given(tmp_path)
    for mode in ("sum", "repeat"):
        found, names = adapted(arrays, graph(tmp_path, 3), mode)
        assert names == ()
    assert all(found[name] is arrays[name] for name in arrays)


@pytest.mark.parametrize(("mode", "channels"), [("sum", 4), ("mean", 1)])
def test_ways_that_there_are_not(mode: str, channels: int, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="repeat"):
        adapted(given(tmp_path), graph(tmp_path, channels), mode)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_build_takes_it_with_another_head(backend: str, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    arrays = given(tmp_path)
    weights.save(tmp_path / "w", arrays, "tiny")
    other = api.load(tmp_path / "tiny.yaml", overrides=("input=[1, 8, 8]", "num_classes=9"))
    assert "partial=True" in (refused(api.build, other, backend, weights=tmp_path / "w").help or "")
    with pytest.warns(UserWarning, match="weights left out: 2"):
        model = api.build(other, backend, weights=tmp_path / "w", partial=True, adapt_input="sum")
    found = api.read_weights(model)
    np.testing.assert_allclose(
        found[STEM], arrays[STEM].sum(1, keepdims=True), rtol=1e-5, atol=1e-6
    )


def test_without_it_the_message_names_it(tmp_path: Path) -> None:
    arrays = given(tmp_path)
    for channels, way in ((1, "--adapt-input sum"), (6, "--adapt-input repeat")):
        assert way in (refused(weights.fit, arrays, graph(tmp_path, channels)).help or "")
        assert not weights.fit(arrays, graph(tmp_path, channels), None, way.split()[1]).left_out


def test_another_head_or_none_is_named(tmp_path: Path) -> None:
    arrays = dict(given(tmp_path))
    wider = specs.load(tmp_path, overrides=("num_classes=9",)).graph
    with pytest.raises(SpecError, match="2 of") as caught:
        weights.fit(arrays, wider)
    assert "--set num_classes=5" in (caught.value.diagnostics[0].help or "")
    trunk = {name: one for name, one in arrays.items() if not name.startswith("head")}
    assert "without its head" in (refused(weights.fit, trunk, wider).help or "")
