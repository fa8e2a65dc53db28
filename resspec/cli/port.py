"""`resspec port`: other libraries' checkpoints → canonical weights, and back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from resspec.cli import common

if TYPE_CHECKING:
    from resspec.port.transfer import Ported

DTYPES = ("float16", "bfloat16", "float32", "float64")
SHOWN = 5


def port(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT")],
    spec: Annotated[str, typer.Option("--spec", metavar="SPEC", help="The same network here.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="LIBRARY", help="torchvision, timm, keras, or torch: no code."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--to", metavar="LIBRARY", help="The other way: torchvision, timm or keras."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Its name in that library, if not the spec's."),
    ] = None,
    key: common.Key = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, …; without it each tensor stays what it is.")
    ] = None,
    check: Annotated[
        bool, typer.Option(help="With --from: run both networks and compare their outputs.")
    ] = True,
    sets: common.Set = None,
    search: common.Search = None,
    force: common.Force = False,
    format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> None:
    """Carry weights from another library to resspec, or back.

    --from reads a checkpoint and writes safetensors in canonical names, which every backend loads.
    --to reads such a file and writes a checkpoint that the library's own loader accepts strictly.
    The layers are matched by what they compute, in the order in which they run, not by name.

    \b
    Examples:
      resspec port resnet50.pth --from torchvision --spec resnet50 --out resnet50.safetensors
      resspec port ported.safetensors --to timm --spec resnet50d --out resnet50d.pth
    """
    if (source is None) == (target is None):
        raise typer.BadParameter("give one of --from and --to.", param_hint="--from")
    if key is not None and source is None:
        raise typer.BadParameter("it says what to read with --from.", param_hint="--key")
    from resspec import artifacts
    from resspec.port import origins
    from resspec.port.transfer import must_be_free, outputs_apart, read, write
    from resspec.weights import stored

    common.choice(format, ("text", "json"), "--format")
    if dtype is not None:
        common.choice(dtype, DTYPES, "--dtype")
    common.choice(source or target or "", origins.names(), "--from" if source else "--to")
    must_be_free(out, force=force)
    apart = None
    with common.progress() as doing:
        doing("compiling")
        graph = common.load(spec, sets, search).graph
        doing("matching")
        if source is not None:
            found, report = read(checkpoint, source, graph, model, key)
            if check:
                doing("comparing outputs")
                apart = outputs_apart(checkpoint, source, graph, found, model, key)
            data = stored.encode(found.weights, graph.name, dtype or found.dtypes)
            artifacts.write_file(out, data, force=force)
        else:
            assert target is not None
            found = stored.read(checkpoint, graph)
            if dtype is not None:
                found = stored.Stored(found.weights, dict.fromkeys(found.weights, dtype))
            report = write(found, target, graph, out, model, force=force)
    _warn(report)
    if format == "json":
        common.print_json({
            "spec": graph.name, "out": str(out), **asdict(report), "outputs_apart": apart
        })  # fmt: skip
    else:
        side = "from" if source else "to"
        print(f"{graph.name}: {report.tensors} tensors, {report.numbers:,} numbers "
              f"({', '.join(report.dtypes)}) {side} {report.original}")  # fmt: skip
        if apart is not None:
            print(f"outputs are {apart:.1e} from those of {report.original}, relative, in float32")
        print(f"wrote {out}")


def _warn(report: Ported) -> None:
    if report.taken:
        common.say(f"note: {report.taken}")
    for line in report.differences[:SHOWN]:
        common.say(f"warning: {line}")
    if len(report.differences) > SHOWN:
        common.say(f"warning: and {len(report.differences) - SHOWN} more differences")
    if report.ambiguous:
        first = ", ".join(report.ambiguous[0][:3])
        more = " …" if len(report.ambiguous[0]) > 3 else ""
        common.say(
            f"warning: {len(report.ambiguous)} sets of tensors were told apart by their order "
            f"alone, the first {first}{more}"
        )
        if report.by_order:
            common.say("help: --from torchvision, timm or keras knows the original's code")
    if report.unread:
        names = ", ".join(report.unread[:SHOWN])
        common.say(f"warning: the original never uses {len(report.unread)} tensors: {names}")
