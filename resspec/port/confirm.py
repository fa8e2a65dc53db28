"""What was matched by order alone is only taken where something confirms it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from resspec.diagnostics import Note, SpecError, error, escape
from resspec.port import verify

if TYPE_CHECKING:
    from resspec.ir import Graph
    from resspec.port.transfer import Ported
    from resspec.port.verify import Example, Verdict
    from resspec.weights.fitting import Stored

SHOWN = 10
FEW = 4  # names of a set


def by_example(
    found: Iterable[tuple[Stored, Ported]], graph: Graph, example: Example
) -> tuple[Stored, Ported, Verdict]:
    """The first of these weights with which the network gives what the example says. graph: for
    inputs of its size. Errors: `weights-mismatch` where none does; as `verify.verified`."""
    tried: list[Verdict] = []
    for stored, report in found:
        sets = report.ambiguous if report.by_order else ()
        verdict = verify.verified(graph, stored.weights, example, sets)
        if verdict.ok:
            return stored, report, verdict
        tried.append(verdict)
    best = min(tried, key=lambda one: one.apart)
    ways = f", in {len(tried)} orders that were tried" if len(tried) > 1 else ""
    raise error(
        "weights-mismatch",
        f"with these weights {graph.name} gives {best.apart:.1e} from what `{example.path}` says, "
        f"relative, where rounding explains {best.limit:.1e}{ways}; nothing is written",
        help=best.hint
        or "if x and y are right (in evaluation mode, y before any softmax, in "
        "float32 on a CPU), the spec computes something else, or the tensors are in another order",
    )


WAYS = (
    "confirm the order with --verify FILE.npz (x: an input, y: what the trained network "
    "gives for it), or take --from torchvision, timm or keras, which know the original's code "
    "and run it (without --no-check); --trust-order takes it as it is"
)
WAYS_BACK = (
    "`resspec port` that file with --from torch --verify FILE.npz: what is confirmed there holds "
    "here, by the same rules, and --trust-order takes it"
)


def must_be_certain(
    report: Ported, checkpoint: object, *, compared: bool, ways: str = WAYS
) -> None:
    """Errors: `weights-ambiguous` where only the order told tensors apart. compared: the original's
    code will be run beside the network, and confirms an order of execution."""
    if not report.ambiguous or (compared and not report.by_order):
        return
    raise _uncertain(report, checkpoint, ways)


def _uncertain(report: Ported, checkpoint: object, ways: str = WAYS) -> SpecError:
    notes = [Note(_few(names)) for names in report.ambiguous[:SHOWN]]
    if len(report.ambiguous) > SHOWN:
        notes.append(Note(f"and {len(report.ambiguous) - SHOWN} sets more"))
    return error(
        "weights-ambiguous",
        f"`{escape(str(checkpoint))}`: only the order of its tensors says which is which of "
        f"{len(report.ambiguous)} sets of one role and shape; nothing is written",
        notes=notes,
        help=ways,
    )


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more
