"""`resspec port`: other libraries' checkpoints → canonical weights, and back."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from resspec.cli import common
from resspec.cli.options import Argument, BadUse, Option
from resspec.diagnostics import escape
from resspec.options import LoadOptions

if TYPE_CHECKING:
    from resspec.ir import Graph
    from resspec.port.transfer import Ported

DTYPES = ("float16", "bfloat16", "float32", "float64")
SHOWN = 5
NAMES = {"torch": "torch's", "tensorflow": "Keras'"}


@common.loading
def port(
    checkpoint: Annotated[Path, Argument(metavar="CHECKPOINT")],
    spec: Annotated[str, Option("--spec", metavar="SPEC", help="The same network here.")],
    out: Annotated[Path, Option("--out", metavar="FILE", help="The file to write.")],
    source: Annotated[
        str | None,
        Option("--from", metavar="LIBRARY", help="torchvision, timm, keras, or torch: no code."),
    ] = None,
    target: Annotated[
        str | None,
        Option("--to", metavar="LIBRARY", help="The other way; torch: any tree, with --like."),
    ] = None,
    like: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="With --to torch: a checkpoint of the same network there, whose names, layouts "
            "and types are taken; its first weights will do.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        Option(metavar="NAME", help="Its name in that library, if not the spec's."),
    ] = None,
    key: common.Key = None,
    dtype: Annotated[
        str | None, Option(help="float32, …; without it each tensor stays what it is.")
    ] = None,
    check: Annotated[
        bool, Option(help="With --from: run both networks and compare their outputs.")
    ] = True,
    verify: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="A .npz of `x`, an input, and `y`, what the trained network gives for it (several "
            "outputs by name): the network here must give the same.",
        ),
    ] = None,
    trust_order: Annotated[
        bool,
        Option(
            "--trust-order",
            help="Without --verify, or code that is run: take tensors that only their order tells "
            "apart.",
        ),
    ] = False,
    partial: Annotated[
        bool,
        Option("--partial", help="Without code: leave out a head of other classes, or none."),
    ] = False,
    options: LoadOptions = LoadOptions(),
    outputs: common.Outputs = None,
    force: common.Force = False,
    format: Annotated[str, Option(help="text or json.")] = "text",
) -> None:
    """Carry weights from another library to resspec, or back.

    --from reads a checkpoint and writes safetensors in canonical names, which every backend loads.
    --to reads such a file and writes a checkpoint that the library's own loader accepts strictly.
    Layers are matched by what they compute, in the order in which they run. Without code (--from
    torch), names that resspec gave are taken by name; others by their order, which --verify or
    --trust-order must confirm.

    \b
    Examples:
      resspec port resnet50.pth --from torchvision --spec resnet50 --out resnet50.safetensors
      resspec port mine.pth --from torch --spec mine.yaml --verify io.npz --out mine.safetensors
      resspec port ported.safetensors --to timm --spec resnet50d --out resnet50d.pth
      resspec port w.safetensors --to torch --like init.npz --spec mine.yaml --out tree.npz
    """
    if (source is None) == (target is None):
        raise BadUse("give one of --from and --to.", hint="--from")
    if (like is not None) and target != "torch":
        raise BadUse("it is for --to torch.", hint="--like")
    if key is not None and source is None and like is None:
        raise BadUse("it says what to read with --from.", hint="--key")
    if verify is not None and source is None:
        raise BadUse("it confirms what --from reads.", hint="--verify")
    if trust_order and source is None and like is None:
        raise BadUse("it is for what --from or --like reads.", hint="--trust-order")
    if partial and source != "torch":
        raise BadUse("it is for --from torch.", hint="--partial")
    from resspec import api, artifacts, compile
    from resspec.port import confirm, origins
    from resspec.port import verify as examples
    from resspec.port.like import write as write_like
    from resspec.port.transfer import candidates, must_be_free, outputs_apart, write
    from resspec.weights import stored

    common.choice(format, ("text", "json"), "--format")
    if dtype is not None:
        common.choice(dtype, DTYPES, "--dtype")
    common.choice(source or target or "", origins.names(), "--from" if source else "--to")
    must_be_free(out, force=force)
    wanted = common.names(outputs)

    def at(shape: tuple[int, ...]) -> Graph:
        loaded = compile.load(spec, options.having(f"input={list(shape)}"))
        return api.graph_of(loaded, wanted)

    apart = verdict = None
    with common.progress() as doing:
        doing("compiling")
        graph = api.graph_of(common.load(spec, options), wanted)
        doing("matching")
        if source is not None:
            example = None if verify is None else examples.read(verify, graph)
            possible = candidates(checkpoint, source, graph, model, key, partial=partial)
            if example is None:
                found, report = next(possible)
                if not trust_order:
                    confirm.must_be_certain(report, checkpoint, compared=check)
            else:
                doing("running it on the example")
                seen = examples.resized(example, graph, at)
                found, report, verdict = confirm.by_example(possible, seen, example)
            if check:
                doing("comparing outputs")
                apart = outputs_apart(checkpoint, source, graph, found, model, key)
            data = stored.encode(found.weights, graph, dtype or found.dtypes)
            artifacts.write_file(out, data, force=force)
        else:
            found = stored.read(checkpoint, graph)
            if dtype is not None:
                found = replace(found, dtypes=dict.fromkeys(found.weights, dtype))
            if like is None:
                report = write(found, target or "", graph, out, model, force=force)
            else:
                report = write_like(
                    found, like, graph, out, key, trust_order=trust_order, force=force
                )
            if found.other:
                report = replace(report, differences=(*report.differences, found.other))
    _warn(report, confirmed=verdict is not None, read=source is not None)
    if format == "json":
        common.print_json({
            "spec": graph.name, "out": str(out), **asdict(report), "outputs_apart": apart,
            "verified": verdict and {"apart": verdict.apart, "limit": verdict.limit},
        })  # fmt: skip
    else:
        side, original = "from" if source else "to", escape(report.original)
        print(f"{graph.name}: {report.tensors} tensors, {report.numbers:,} numbers "
              f"({', '.join(report.dtypes)}) {side} {original}{_by(report)}")  # fmt: skip
        if apart is not None:
            print(f"outputs are {apart:.1e} from those of {original}, relative, in float32")
        if verdict is not None:
            print(f"outputs are {verdict.apart:.1e} from those of {escape(str(verify))}, relative; "
                  f"rounding explains {verdict.limit:.1e}")  # fmt: skip
        print(f"wrote {escape(str(out))}")


def _by(report: Ported) -> str:
    return f", by {NAMES.get(report.names, report.names)} names" if report.names else ""


def _warn(report: Ported, *, confirmed: bool, read: bool) -> None:
    if report.taken:
        common.say(f"note: {report.taken}")
    for line in report.differences[:SHOWN]:
        common.say(f"warning: {line}")
    if len(report.differences) > SHOWN:
        common.say(f"warning: and {len(report.differences) - SHOWN} more differences")
    for line in report.left_out[:SHOWN]:
        common.say(f"warning: left out: {escape(line)}")
    if report.ambiguous and not confirmed:
        first = ", ".join(report.ambiguous[0][:3])
        more = " …" if len(report.ambiguous[0]) > 3 else ""
        common.say(
            f"warning: {len(report.ambiguous)} sets of tensors were told apart by their order "
            f"alone, the first {first}{more}"
        )
        if report.by_order and read:
            common.say("help: --verify confirms it; --from torchvision, timm or keras knows the "
                       "original's code")  # fmt: skip
    if report.unread:
        names = ", ".join(report.unread[:SHOWN])
        common.say(f"warning: the original never uses {len(report.unread)} tensors: {names}")
