"""A network with hostile text wherever there can be text from a stranger."""

from __future__ import annotations

from dataclasses import replace

from resspec.compile import LoadedSpec
from resspec.diagnostics import Span
from resspec.ir import Graph, Node, Region

EVIL = (
    """<script>window.ran = 1</script><img src=x onerror="window.ran = 1">"""
    """</script><!-- ' " \\ ` ${window.ran = 1} ]]> &lt; --><svg onload=window.ran=1>"""
    """[a](javascript:alert(1)) | ![b](//evil.example)\u202e\u2066\u200b\x1b[31m"""
)
UNSEEN = {"\u202e", "\u2066", "\u200b", "\x1b"}


def poisoned(loaded: LoadedSpec) -> LoadedSpec:
    """The spec, with it in every name, path, doc, label, warning and text."""

    def span(old: Span) -> Span:
        return replace(old, file=old.file + EVIL)

    def node(old: Node) -> Node:
        return replace(old, path=old.path + EVIL, span=span(old.span))

    def region(old: Region) -> Region:
        return replace(
            old,
            path=old.path + EVIL,
            block=old.block + EVIL,
            doc=EVIL,
            span=span(old.span),
            definition=span(old.definition),
            labels=tuple((index, name + EVIL) for index, name in old.labels),
        )

    graph: Graph = loaded.graph
    graph = replace(
        graph,
        name=graph.name + EVIL,
        doc=EVIL,
        outputs=tuple((name + EVIL, values) for name, values in graph.outputs),
        root=graph.root.map(node, region),
    )
    sources = {name + EVIL: text + "\n# " + EVIL for name, text in loaded.sources.items()}
    warnings = tuple(
        replace(one, message=EVIL, help=EVIL, span=one.span and span(one.span))
        for one in loaded.warnings
    )
    return replace(loaded, name=EVIL, graph=graph, sources=sources, warnings=warnings)


__all__ = ["EVIL", "UNSEEN", "poisoned"]
