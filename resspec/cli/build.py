"""`resspec build`: compile, instantiate, run once, and say what was built."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resspec.cli import common

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from resspec.api import Compiled
    from resspec.zoo import LoadedSpec

FILES = ("model.py", "weights.safetensors", "spec.yaml", "summary.json")


def build(
    spec: Annotated[str, typer.Argument(metavar="SPEC")],
    backend: common.BackendName = "torch",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help=f"Write {', '.join(FILES)} there, all or none."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the first weights; the same on every backend.")] = 0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    batch: Annotated[int, typer.Option(min=1, help="Examples in the forward pass.")] = 1,
    input: common.Input = None,
    sets: common.Set = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Safetensors to load instead of the seed.")
    ] = None,
    outputs: common.Outputs = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu",
    search: common.Search = None,
    limits: common.Limit = None,
    force: common.Force = False,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Build a network and run it once.

    Compiles a spec, instantiates it, runs one forward pass and says what was built.

    \b
    Examples:
      resspec build resnet50
      resspec build mine.yaml --backend tensorflow --out built
      resspec build resnet50 --set stages.2.depth=23 --input 3x64x64 --format json
    """
    from resspec import api, artifacts

    backend = common.backend_name(backend)
    common.choice(dtype, api.DTYPES, "--dtype")
    common.choice(format, ("text", "json"), "--format")
    clock = Clock()
    staged = artifacts.folder(out, FILES, force=force) if out else nullcontext()
    with staged as staging, common.progress() as doing:
        doing("compiling")
        with clock.measure("compile"):
            loaded = common.load(spec, sets, search, input, limits)
            compiled = api.compile_for(loaded, backend, common.names(outputs))
        doing(f"instantiating on {backend}")
        with clock.measure("instantiate"):
            arrays = compiled.weights(seed, weights)
            model = compiled.instantiate(device, dtype)
            compiled.backend.load_weights(model, compiled.source, arrays)
        doing("running")
        with clock.measure("forward"):
            shapes = _forward(compiled, model, batch, dtype)
        summary = api.summarize(compiled.graph)
        params, buffers = compiled.backend.counts(model)
        if staging:
            doing(f"writing {out}")
            for name, data in _files(loaded, compiled, arrays).items():
                staging.write(name, data)
    report: dict[str, Any] = {
        "name": compiled.graph.name,
        "backend": backend,
        "device": device,
        "dtype": dtype,
        "params": params,
        "buffers": buffers,
        "macs": summary.macs,
        "flops": summary.flops,
        "input_shape": [batch, *summary.input],
        "output_shape": shapes,
        "seconds": clock.seconds,
        "out": str(out) if out else None,
    }
    if format == "json":
        common.print_json(report)
    else:
        print(_text(report))


class Clock:
    """Seconds that each phase took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[phase] = round(time.perf_counter() - start, 3)


def _forward(compiled: Compiled, model: Any, batch: int, dtype: str) -> Any:
    """One forward pass on a seeded batch; the shape of the output, or of each by name."""
    from resspec.weights import example

    graph = compiled.graph
    x = example((batch, *graph.input.type.shape)).astype(dtype)
    found = {
        name: [list(value.shape) for value in values]
        for name, values in compiled.backend.forward(model, x).items()
    }
    expected = {
        name: [[batch, *value.type.shape] for value in values] for name, values in graph.outputs
    }
    if found != expected:
        raise RuntimeError(f"the model gives {found}, its graph says {expected}")
    (first, *others) = found.values()
    return first[0] if len(first) == 1 and not others else found


def _files(
    loaded: LoadedSpec, compiled: Compiled, arrays: dict[str, NDArray[Any]]
) -> dict[str, bytes]:
    from resspec import weights
    from resspec.summary import summarize
    from resspec.syntax import dump

    graph = compiled.graph
    wide = any(array.dtype == "float64" for array in arrays.values())
    summary = json.dumps([summarize(graph).to_json()], indent=2, ensure_ascii=False)
    return {
        "model.py": compiled.source.text.encode(),
        "weights.safetensors": weights.encode(arrays, graph.name, "float64" if wide else "float32"),
        "spec.yaml": dump(loaded.data).encode(),
        "summary.json": f"{summary}\n".encode(),
    }


def _text(report: dict[str, Any]) -> str:
    from resspec import table

    shapes = report["output_shape"]
    if isinstance(shapes, dict):
        shown = table.shape({name: tuple(map(tuple, values)) for name, values in shapes.items()})
    else:
        shown = table.shape(tuple(shapes))
    seconds = report["seconds"]
    phases = ", ".join(f"{phase} {taken:.2f}" for phase, taken in seconds.items())
    rows = [
        ("name", report["name"]),
        ("backend", report["backend"]),
        ("device", f"{report['device']}, {report['dtype']}"),
        ("params", f"{report['params']:,}"),
        ("MACs", f"{report['macs']:,} an example"),
        ("input", table.shape(tuple(report["input_shape"]))),
        ("output", shown),
        ("seconds", f"{sum(seconds.values()):.2f} ({phases})"),
    ]
    if report["out"]:
        rows.append(("wrote", f"{report['out']}: {', '.join(FILES)}"))
    return table.pairs(rows)
