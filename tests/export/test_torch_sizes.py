"""What torch writes takes any batch, height and width that the network takes, under speaking names,
and gives what the live model gives; scripts and compiled modules, too."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec import api, backend, sizes, weights
from resspec.ir import Graph
from resspec.ops import OpError
from tests import specs

torch = pytest.importorskip("torch")

NETWORKS = {
    # `same` on a convolution, a dilated one, pools; at 32×32 the last map has one position
    "same": """
  - conv: {out_channels: 6, kernel_size: 3, stride: 2, padding: same}
  - residual:
      body: [{conv: {out_channels: 8, kernel_size: 5, stride: 2, padding: same}}, norm]
      shortcut: [{conv: {out_channels: 8, kernel_size: 1, stride: 2}}]
  - max_pool: {kernel_size: 3, stride: 2, padding: same}
  - scaled_std_conv2d: {out_channels: 4, kernel_size: 3, stride: 2, dilation: 2, padding: same}
  - avg_pool: {kernel_size: 2, stride: 3, padding: same, count_include_pad: false}
  - global_avg_pool""",
    # what was halved and doubled again meets what was not
    "doubled": """
  - conv: {out_channels: 4, kernel_size: 3}
  - add: [[], [{max_pool: {kernel_size: 2, stride: 2}}, {resize: {scale_factor: 2}}]]
  - resize: {scale_factor: 0.5, mode: bilinear}""",
    "like": """
  - conv: {out_channels: 4, kernel_size: 3}
  - as: wide
  - max_pool: {kernel_size: 3, stride: 2, padding: [0, 2, 1, 2], ceil_mode: true}
  - resize: {like: wide}
  - concat: [[], wide]""",
    "to a size": """
  - adaptive_max_pool: {output_size: [2, 3]}
  - resize: {size: [7, 5]}
  - adaptive_avg_pool: {output_size: [5, 3]}
  - flatten
  - linear: {out_features: 5}""",
    "blurred": """
  - conv: {out_channels: 4, kernel_size: 3}
  - blur_pool: {padding: same}""",
}
FLAT = "\n  - conv: {out_channels: 4, kernel_size: 3, stride: 2}\n  - flatten"
TRIED = ((32, 32), (33, 39), (48, 64), (17, 18))


def network(tmp_path: Path, layers: str) -> tuple[Graph, Any]:
    graph = specs.load(tmp_path, f"model: net\ninput: [3, 32, 32]\nstem:{layers}\n").graph
    return graph, api.build(graph, "torch", weights=weights.randomise(graph)).eval()


def exported(kind: str, graph: Graph, model: Any, path: Path) -> Callable[[Any], Any]:
    """The model read back from a file, or wrapped."""
    if kind == "script":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.script(model)
    if kind == "compile":
        torch._dynamo.reset()
        return torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    ours = backend.get("torch")
    ours.exporter().export(model, graph, ours.emit(graph), kind, path, {})
    if kind == "pt2":
        return torch.export.load(path).module()
    session = pytest.importorskip("onnxruntime").InferenceSession(str(path))
    return lambda x: torch.tensor(session.run(None, {"input": x.numpy()})[0])


def held_together(graph: Graph, model: Any, other: Callable[[Any], Any]) -> int:
    """Run both at several sizes: equal, or both refuse. How many sizes the network took."""
    taken = 0
    for size in TRIED:
        x = torch.tensor(weights.example((3, 3, *size)))
        try:
            expected = sizes.resized(graph, *size).outputs[0][1][0].type.shape
        except OpError:
            for one in (model, other):
                with pytest.raises(Exception, match=r"(?s)."):
                    one(x)
            continue
        with torch.no_grad():
            wanted, found = model(x), other(x)
        assert tuple(wanted.shape[1:]) == expected, size
        torch.testing.assert_close(found, wanted, rtol=2e-5, atol=2e-6)
        taken += 1
    return taken


@pytest.mark.parametrize("kind", ["script", "compile", "pt2"])
@pytest.mark.parametrize("name", NETWORKS)
def test_right_at_every_size_that_it_takes(name: str, kind: str, tmp_path: Path) -> None:
    graph, model = network(tmp_path, NETWORKS[name])
    other = exported(kind, graph, model, tmp_path / "model.pt2")
    assert held_together(graph, model, other) == (2 if name == "doubled" else 4)


def test_axes_of_an_exported_program_are_free_where_the_network_is(tmp_path: Path) -> None:
    graph, model = network(tmp_path, NETWORKS["blurred"])
    exported("pt2", graph, model, tmp_path / "model.pt2")
    assert _free_axes(torch.export.load(tmp_path / "model.pt2")) == [0, 2, 3]
    graph, model = network(tmp_path, FLAT)
    exported("pt2", graph, model, tmp_path / "flat.pt2")
    assert _free_axes(torch.export.load(tmp_path / "flat.pt2")) == [0]


def _free_axes(program: Any) -> list[int]:
    (x,) = (
        node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs
    )
    return [axis for axis, n in enumerate(x.meta["val"].shape) if not isinstance(n, int)]


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnx = pytest.importorskip("onnx")
    graph, model = network(tmp_path, NETWORKS[name])
    other = exported("onnx", graph, model, tmp_path / "model.onnx")
    if name == "doubled":  # ONNX has no way to refuse a fraction of an odd size
        x = torch.tensor(weights.example((3, 3, 48, 64)))
        torch.testing.assert_close(other(x), model(x), rtol=2e-5, atol=2e-6)
    else:
        assert held_together(graph, model, other) == 4
    (axes,) = (i.type.tensor_type.shape.dim for i in onnx.load(tmp_path / "model.onnx").graph.input)
    assert [axis.dim_param for axis in axes] == ["batch", "", "height", "width"]


@pytest.mark.parametrize("kind", ["live", "script", "pt2"])
def test_a_network_of_one_size_refuses_others(kind: str, tmp_path: Path) -> None:
    graph, model = network(tmp_path, FLAT)
    assert not sizes.of(graph).free
    other = model if kind == "live" else exported(kind, graph, model, tmp_path / "model.pt2")
    x = torch.zeros((2, 3, 32, 33))
    message = r"size\(\)\[3\] == 32" if kind == "pt2" else "made for inputs of 32x32, not 32x33"
    with pytest.raises(Exception, match=message):
        other(x)
    assert np.isfinite(other(x[..., :32]).detach().numpy()).all()


def test_a_sum_refuses_what_would_broadcast(tmp_path: Path) -> None:
    """At 3×3 the branches have one and two rows."""
    layers = "\n  - add: [[{max_pool: {kernel_size: 2, stride: 2}}], [{subsample: {stride: 2}}]]"
    _, model = network(tmp_path, layers)
    with pytest.raises(ValueError, match=r"branches differ in size: \[3, 1, 1\] and \[3, 2, 2\]"):
        model(torch.zeros((1, 3, 3, 3)))
