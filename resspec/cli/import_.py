"""`resspec import`: a network in code or in a file → a spec, its weights, and proof."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.diagnostics import SpecError, escape

if TYPE_CHECKING:
    from resspec.lift.bring import Imported, Outline
    from resspec.parity.compare import Report

USUAL = (3, 224, 224)


def import_(
    source: Annotated[str, Argument(metavar="SOURCE")],
    out: Annotated[Path, Option("--out", metavar="DIR", help="The folder to write.")],
    name: Annotated[
        str | None, Option("--name", metavar="NAME", help="Of the spec, if not the source's.")
    ] = None,
    input: common.Input = None,
    parity: Annotated[
        bool, Option(help="Also compare the other installed backends, at the small size.")
    ] = True,
    outline: Annotated[
        bool, Option(help="Where no op says something, write the rest, with a `todo` there.")
    ] = False,
    force: common.Force = False,
    format: Annotated[str, Option(help="text or json.")] = "text",
) -> None:
    """Make a spec of a model that exists in code, or in a file.

    The spec, its blocks and its weights, proven the same before anything is written.

    SOURCE is torchvision:NAME, timm:NAME, keras:NAME (of keras.applications), a file, of which
    nothing is run (model.pt2 of torch.export, model.keras, model.onnx), or package.module:callable,
    which gives an nn.Module: that code is imported and RUN, so name only code that you trust.
    Modules become blocks, equal ones in a row stages. Before anything is written, the spec and the
    original are compared in float64: outputs at two sizes, gradients and statistics of training.
    What no op says is told, every place of it, and nothing is written.

    \b
    Examples:
      resspec import timm:resnet50d --out resnet50d
      resspec import mine.models:make --input 3x64x64 --out mine
      resspec import model.pt2 --out mine
    """
    from resspec.lift import bring

    common.choice(format, ("text", "json"), "--format")
    if not source.strip():
        raise BadUse("it names nothing.", hint="SOURCE")
    given = None if input is None else common.load_options(input, None, None, None).input
    bring.must_be_free(out, force=force)
    start = time.perf_counter()
    reports: list[Report] = []
    with common.progress() as doing:
        doing("opening")
        network = bring.opened(source)
        shape = given or network.shape or USUAL
        name = name or bring.name_of(source)
        try:
            made = bring.bring(network, shape, name, say=doing)
        except SpecError as problem:
            codes = {one.code for one in problem.diagnostics}
            if not outline or codes != {"not-liftable"}:
                raise
            rough = bring.outlined(network, shape, name)
            _left(rough, rough.save(out, force=force), format)
            return
        if parity:
            reports = compared(made, network.backend, doing)
        path = made.save(out, force=force)
    seconds = time.perf_counter() - start
    if format == "json":
        common.print_json(_json(made, path, reports, seconds))
    else:
        _told(made, path, reports, seconds)
    if not all(report.ok for report in reports):
        raise SystemExit(1)


def compared(
    made: Imported, first: str, doing: common.Progress, others: Sequence[str] = ()
) -> list[Report]:
    """Parity of the first backend with others that can run it: all that are installed, unless
    told."""
    from resspec import backend
    from resspec.parity.compare import Options, compare
    from resspec.parity.endpoints import endpoint
    from resspec.parity.runners import Here, Once, Runner

    reports = []
    reference = Once(Here(endpoint(first)))
    for other in others or backend.names():
        if other == first or backend.get(other).check(made.small):
            continue
        doing(f"comparing {first} and {other}")
        try:
            runners: list[Runner] = [reference, Here(endpoint(other))]
            reports.append(compare(made.small, runners, Options(modes=("eval", "grad"))))
        except SpecError as problem:
            if any(one.code != "no-backend" for one in problem.diagnostics):
                raise
    return reports


def _told(made: Imported, path: Path, reports: list[Report], seconds: float) -> None:
    summary = made.summary
    height, width = made.size
    counts = f"{summary.params:,} params, {summary.macs:,} MACs"
    print(f"{made.name}: {counts}, from {escape(made.original)}")
    blocks = ", ".join(made.spec.blocks) or "none"
    print(f"{made.steps} layers → {made.lines} lines; blocks: {blocks}")
    for note in made.notes:
        print(f"note: {escape(note)}")
    for check in made.checks:
        where = f"{height}×{width}"
        if check.quantity.endswith("second size") and made.second:
            where = f"{made.second[0]}×{made.second[1]}"
        print(f"same as the original in float64: {check.quantity} {check.error:.1e} ({where})")
    for report in reports:
        worst = max((check.error for check in report.checks), default=0.0)
        verdict = "same" if report.ok else "NOT the same"
        print(f"{verdict} on {' and '.join(report.backends)} in float64: {worst:.1e}")
    print(f"wrote {escape(str(path))} in {seconds:.1f} s")


def _left(rough: Outline, path: Path, format: str) -> None:
    """An outline: where something is to be done."""
    places = [str(one) for one in dict.fromkeys(rough.problems)]
    if format == "json":
        common.print_json(
            {"name": rough.name, "original": rough.original, "spec": str(path), "todo": places}
        )
        return
    for place in places:
        print(f"todo: {escape(place)}")
    print(f"wrote an outline, {escape(str(path))}: `resspec validate` shows what is to be done")


def _json(made: Imported, path: Path, reports: list[Report], seconds: float) -> dict[str, Any]:
    return {
        "name": made.name,
        "original": made.original,
        "spec": str(path),
        "params": made.summary.params,
        "macs": made.summary.macs,
        "layers": made.steps,
        "lines": made.lines,
        "blocks": list(made.spec.blocks),
        "checks": [
            {"quantity": one.quantity, "error": one.error, "limit": one.limit, "ok": one.ok}
            for one in made.checks
        ],
        "notes": list(made.notes),
        "sizes": [list(one) for one in (made.size, made.second) if one],
        "parity": [report.to_json() for report in reports],
        "seconds": round(seconds, 3),
    }
