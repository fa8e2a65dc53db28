"""Files that JAX and Flax load by themselves; imports JAX only when it writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resspec import sizes
from resspec.backend import Format, imported
from resspec.least import least

if TYPE_CHECKING:
    from resspec.backend import Source
    from resspec.ir import Graph

FORMATS = {
    "nnx_state": Format(
        "nnx_state.safetensors",
        "the state by its paths, for `safetensors.flax.load_file(…)`",
        native=True,
    ),
    "orbax": Format(
        "orbax",
        "a folder of the state, for `orbax.checkpoint.StandardCheckpointer`",
        files=(
            "orbax/_CHECKPOINT_METADATA",
            "orbax/_METADATA",
            "orbax/_sharding",
            "orbax/commit_success.txt",
            "orbax/manifest.ocdbt",
            "orbax/array_metadatas/process_*",
            "orbax/d/*",
            "orbax/ocdbt.process_*/manifest.ocdbt",
            "orbax/ocdbt.process_*/d/*",
        ),
    ),
    "stablehlo": Format(
        "model.stablehlo",
        "a program with its weights, for `jax.export.deserialize(…).call`",
        dtypes=("float64", "float32"),
    ),
}
AXES = ("height", "width")
PLATFORMS = ("cpu", "cuda")


def export(
    model: Any,
    graph: Graph,
    source: Source,
    format: str,
    path: Path,
    dtypes: Mapping[str, str],
) -> None:
    """Write the model, as it infers, at `path`. Raises SpecError(no-exporter)."""
    from resspec_jax.runtime import mode

    with mode(model, False, 0) as view:
        {"nnx_state": _state, "orbax": _orbax, "stablehlo": _program}[format](
            view, graph, source, path, dtypes
        )


def _state(view: Any, graph: Graph, source: Source, path: Path, dtypes: Mapping[str, str]) -> None:
    from safetensors.flax import save_file

    from resspec_jax.runtime import variables_of

    narrow = {
        variable.name: dtypes[name] for name, variable in source.variables.items() if name in dtypes
    }
    state = {
        name: one.astype(narrow.get(name, one.dtype)) for name, one in variables_of(view).items()
    }
    save_file(state, path, metadata={"format": "flax"})


def _orbax(view: Any, graph: Graph, source: Source, path: Path, dtypes: Mapping[str, str]) -> None:
    from flax import nnx

    orbax = imported("orbax.checkpoint", "Orbax writes its folders", "pip install 'resspec[jax]'")
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(path.absolute(), nnx.state(view, nnx.Not(nnx.RngState)))


def _program(
    view: Any, graph: Graph, source: Source, path: Path, dtypes: Mapping[str, str]
) -> None:
    """Of any batch and, where every op of the network allows that, any height and width."""
    import jax
    from flax import nnx

    from resspec_jax.runtime import dtype_of

    definition, state = nnx.split(view)
    run = jax.jit(lambda x: nnx.merge(definition, state)(x))
    channels, height, width = graph.input.type.shape
    shapes: list[tuple[str, list[str]]] = [(f"batch, {height}, {width}, {channels}", [])]
    if sizes.of(graph).free:
        # without them JAX cannot tell whether the model refuses a size
        bounds = [f"{axis} >= {low}" for axis, low in zip(AXES, least(graph), strict=True)]
        shapes.insert(0, (f"batch, height, width, {channels}", bounds))
    for shape in shapes:
        try:
            dims = jax.export.symbolic_shape(shape[0], constraints=shape[1])
            x = jax.ShapeDtypeStruct(dims, dtype_of(view))
            program = jax.export.export(run, platforms=PLATFORMS)(x)
            break
        except Exception:  # an op that counts positions, of which JAX raises many kinds
            if shape == shapes[-1]:
                raise
    path.write_bytes(program.serialize())
