"""Digests of what a network is and of what a backend writes for it, the same in every process: by
them a result that was kept is known to be of today's code."""

from __future__ import annotations

import hashlib
import io
import tokenize
from collections.abc import Iterator

from resspec.ir import Graph
from resspec.printer import print_graph

TEXT = (tokenize.COMMENT, tokenize.NL)  # what a run does not see
BREAKS = {tokenize.NEWLINE: "\n", tokenize.INDENT: "\x01", tokenize.DEDENT: "\x02"}


def of_graph(graph: Graph) -> str:
    """Of what it computes and what its values are called; places in files are left out."""
    return _short(print_graph(graph))


def of_source(text: str) -> str:
    """Of what Python source does: without comments, docstrings and how its lines are broken."""
    return _short("".join(_running(text)))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _running(text: str) -> Iterator[str]:
    last, docstring = "\n", False
    for kind, word, *_ in tokenize.generate_tokens(io.StringIO(text).readline):
        if kind in TEXT or (docstring and kind == tokenize.NEWLINE):
            continue
        docstring = kind == tokenize.STRING and last in BREAKS.values()
        if not docstring:
            last = BREAKS.get(kind, word)
            yield last
