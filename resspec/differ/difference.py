"""Two networks compared: the verdict, what differs, what that costs, and whose weights fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape as markup
from typing import Any, Literal

from resspec import table
from resspec.diagnostics import escape
from resspec.differ.same import Computation, computation
from resspec.differ.say import Change, changes, renamed
from resspec.differ.tree import findings
from resspec.differ.words import part
from resspec.ir import Graph
from resspec.summary import Row, Summary, summarize

# same: in every way. weight_names: the same computation, whose weights are called otherwise.
# starts: the same with the same weights, which start otherwise. outputs: the same, given under
# other names. input: the same layers at another input size.
Verdict = Literal["same", "weight_names", "starts", "outputs", "input", "different"]

SHOWN = 20  # sentences


@dataclass(frozen=True, slots=True)
class Cost:
    """What a part costs in the first network and in the second; None where one has none."""

    part: str
    params: tuple[int | None, int | None]
    macs: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs in network `b` from network `a`, by the names that the caller gave.

    fits: of the weights of b, how many have a fellow of the same name and shape in a, and how many
    there are.
    """

    a: str
    b: str
    verdict: Verdict
    changes: tuple[Change, ...]
    costs: tuple[Cost, ...]
    fits: tuple[int, int]

    @property
    def same(self) -> bool:
        """Whether they are one network: what it computes, how it starts, how its weights and
        outputs are called."""
        return self.verdict == "same"

    @property
    def same_computation(self) -> bool:
        """Whether both give the same from the same weights, whatever these are called."""
        return self.verdict in ("same", "weight_names", "starts", "outputs")

    def to_json(self) -> dict[str, Any]:
        """Plain data for `--format json`."""
        return {
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "same_computation": self.same_computation,
            "verdict": self.verdict,
            "says": self.says,
            "changes": [one.to_json() for one in self.changes],
            "costs": [
                {"part": one.part, "params": list(one.params), "macs": list(one.macs)}
                for one in self.costs
            ],
            "weights": {"fitting": self.fits[0], "of": self.fits[1]},
        }

    @property
    def says(self) -> str:
        """The verdict as a sentence."""
        fitting, total = self.fits
        return {
            "same": "the same network",
            "weight_names": f"the same computation, other weight names ({total - fitting} of "
            f"{total}): `resspec port` carries a checkpoint of one over to the other",
            "starts": "the same computation and weight names; the weights start otherwise",
            "outputs": "the same computation and weight names; the outputs are called otherwise",
            "input": "the same layers and weights, at another input size",
            "different": f"{fitting} of the {total} weights of the second are in the first by name "
            "and shape",
        }[self.verdict]

    @property
    def told(self) -> list[str]:
        """What differs, a sentence each; not everything of networks that have little in common."""
        texts = [one.text for one in self.changes]
        if len(texts) <= SHOWN:
            return texts
        return [*texts[: SHOWN - 1], f"and {len(texts) - SHOWN + 1} more, as JSON lists them"]

    @property
    def costs_more(self) -> str:
        """`+19.0 M params (+74 %), +3.7 G MACs (+91 %)`; nothing where both cost the same."""
        total = self.costs[-1]
        sides = (("params", total.params), ("MACs", total.macs))
        return ", ".join(_more(*pair, what) for what, pair in sides if pair[0] != pair[1])

    def __str__(self) -> str:
        return self._lines(escape, "{}", " ", table.text)

    def markdown(self) -> str:
        """For a comment in a review."""
        return self._lines(_plain, "**{}**", "-", table.markdown)

    def _lines(
        self, plain: Callable[[str], str], title: str, bullet: str, drawn: Callable[..., str]
    ) -> str:
        a, b = plain(self.a), plain(self.b)
        if self.verdict == "same":
            return f"{a} and {b}: {self.says}"
        more = f": {self.costs_more}" if self.costs_more else ""
        lines = [title.format(f"{a} → {b}") + more, ""]
        lines += [f"{bullet} {plain(one)}" for one in self.told]
        lines += [""] if self.changes else []
        lines += [drawn(*self._table()), ""] if more else []
        return "\n".join([*lines, plain(self.says)])

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        more = f": {markup(self.costs_more)}" if self.costs_more else ""

        def row(cells: Sequence[str], tag: str) -> str:
            inner = "".join(
                f'<{tag} style="text-align:{"right" if number else "left"}">{cell}</{tag}>'
                for number, cell in enumerate(markup(escape(one)) for one in cells)
            )
            return f"<tr>{inner}</tr>"

        title = f"{escape(self.a)} → {escape(self.b)}"
        head, rows = self._table()
        told = "".join(f"<li>{markup(escape(one))}</li>" for one in self.told)
        body = "".join(row([str(cell) for cell in one], "td") for one in rows)
        costs = f"<table><thead>{row(head, 'th')}</thead><tbody>{body}</tbody></table>"
        return (
            f'<div class="resspec-diff"><p><b>{markup(title)}</b>{more}</p>'
            f"<ul>{told}</ul>{costs}<p>{markup(self.says)}</p></div>"
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """For notebooks, which show the richest form that they can."""
        return {
            "text/plain": str(self),
            "text/html": self._repr_html_(),
            "text/markdown": self.markdown(),
        }

    def _table(self) -> tuple[list[str], list[list[str | int]]]:
        head = ["", "params", "→", "Δ", "MACs", "→", "Δ"]
        rows: list[list[str | int]] = [
            [part(one.part), *_change(*one.params), *_change(*one.macs)] for one in self.costs
        ]
        return head, rows


def difference(a: Graph, b: Graph, names: tuple[str, str] | None = None) -> Difference:
    """Compare two networks. names: what they are called, in place of their own names."""
    first, second = computation(a), computation(b)
    verdict = _verdict(a, b, first, second)
    told = changes(findings(a, b), a, b) if verdict != "same" else ()
    if verdict == "weight_names":
        told = (*told, renamed(first.tensors(), second.tensors()))
    elif verdict == "different" and not told:
        told = (Change("the same layers, connected otherwise", "reads"),)
    tensors = [
        {name: param.shape for name, param in graph.parameters().items()} for graph in (a, b)
    ]
    fitting = sum(tensors[0].get(name) == shape for name, shape in tensors[1].items())
    called = names or (a.name, b.name)
    costs = tuple(_costs(summarize(a), summarize(b)))
    return Difference(*called, verdict, told, costs, (fitting, len(tensors[1])))


def _verdict(a: Graph, b: Graph, first: Computation, second: Computation) -> Verdict:
    if (first.steps, first.outputs) != (second.steps, second.outputs):
        return "different"
    if a.input.type != b.input.type:
        return "input"
    if first.tensors() != second.tensors():
        return "weight_names"
    if first.starts != second.starts:
        return "starts"
    return "same" if [*dict(a.outputs)] == [*dict(b.outputs)] else "outputs"


def _costs(a: Summary, b: Summary) -> list[Cost]:
    """A row a part, in the order of both; the whole last."""
    sides = [{row.path: row for row in one.stages} for one in (a, b)]
    parts = [*sides[1]]
    for number, name in enumerate(sides[0]):
        if name not in sides[1]:
            parts.insert(number, name)

    def cost(name: str, one: Row | Summary | None, other: Row | Summary | None) -> Cost:
        rows = (one, other)
        params = [None if row is None else row.params for row in rows]
        macs = [None if row is None else row.macs for row in rows]
        return Cost(name, (params[0], params[1]), (macs[0], macs[1]))

    found = [cost(name, sides[0].get(name), sides[1].get(name)) for name in parts]
    return [*found, cost("total", a, b)]


def _change(before: int | None, after: int | None) -> tuple[str, str, str]:
    """`25.6 M`, `44.5 M`, `+19.0 M +74 %`."""
    first, second = ("–" if one is None else table.count(one) for one in (before, after))
    if before == after:
        return first, second, ""
    return first, second, " ".join(filter(None, _growth(before or 0, after or 0)))


def _more(before: int | None, after: int | None, what: str) -> str:
    """`+19.0 M params (+74 %)`."""
    amount, share = _growth(before or 0, after or 0)
    return f"{amount} {what}" + (f" ({share})" if share else "")


def _growth(before: int, after: int) -> tuple[str, str]:
    """How much more, and how much of what there was, if there was any."""
    more, sign = abs(after - before), "+" if after > before else "−"
    share = more / before * 100 if before else 0.0
    told = f"{sign}{share:.{0 if share >= 10 else 1}f} %" if share >= 0.05 else ""
    return f"{sign}{table.count(more)}", told


def _plain(text: str) -> str:
    """Text as text in Markdown too."""
    return table.plain(escape(text), "\\`*_<>[]|")
