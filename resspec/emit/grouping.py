"""Nodes with their rules → Program: regions of one skeleton become one definition.

A skeleton is a body with holes for its numbers: block, items in order, wiring, the skeletons of
children, words and booleans, and the rule chosen for each node. Numbers that differ between the
instances of a skeleton become parameters; those that always agree and are of one sort merge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from resspec.emit.body import Body, filled
from resspec.emit.folding import is_only_chain
from resspec.emit.naming import name_definitions
from resspec.emit.parameters import parameters
from resspec.emit.program import Definition, Hole, Leaf, Program
from resspec.emit.resolve import Resolved
from resspec.emit.sites import Group, Site, build


def group(resolved: Resolved, reserved: Collection[str] = ()) -> Program:
    """Cut the graph into definitions. `reserved` are names that the file has other uses for.

    Raises SpecError(unsupported) for an op that the rules cannot express.
    """
    root, reads = build(resolved)
    levels: dict[int, list[Site]] = {}
    for site in root.sites():
        levels.setdefault(site.height, []).append(site)
    uses = Counter(site.path for sites in levels.values() for site in sites)
    groups: list[Group] = []
    for _, sites in sorted(levels.items()):
        fresh: dict[object, list[tuple[Site, Body]]] = {}
        for site in sites:
            if site is root or uses[site.path] > 1 or not is_only_chain(site, reads):
                body = Body(site, reads)
                skeleton = (site.form, len(site.inputs), body.items, body.outputs)
                fresh.setdefault(skeleton, []).append((site, body))
        for members in fresh.values():
            groups.append(_group(f"#{len(groups)}", members, resolved, reserved))
    outputs = tuple(
        (name, tuple(root.outputs.index(value.index) for value in values))
        for name, values in resolved.graph.outputs
    )
    name = resolved.graph.name
    return Program(name, name_definitions(groups, name, reserved), outputs)


def _group(
    target: str,
    members: list[tuple[Site, Body]],
    resolved: Resolved,
    reserved: Collection[str],
) -> Group:
    """One definition of sites with the same skeleton, each of which is told its arguments."""
    site, body = members[0]
    cells: list[tuple[str, Hole]] = []

    def note(item: str, hole: Hole) -> Leaf:
        cells.append((item, hole))
        return hole

    for item in body.items:
        filled(item, note)
    found = parameters(cells, [body.numbers for _, body in members], reserved)
    leaves = iter(found.leaves)
    is_root = site.path == resolved.graph.root.path
    labels = [(body.places[v], name) for v, name in site.labels.items() if v in body.places]
    definition = Definition(
        name=target,
        form=site.form,
        doc=resolved.graph.doc if is_root else site.doc,
        file=site.definition.file.replace("\\", "/").rpartition("/")[2],
        line=site.definition.line,
        parameters=found.parameters,
        inputs=len(site.inputs),
        items=tuple(filled(item, lambda item, hole: next(leaves)) for item in body.items),
        outputs=body.outputs,
        labels=tuple(sorted(labels)),
    )
    origins = {part.name: part.origin for part in site.items if part.origin}
    made = Group(target, definition, found.holes, origins)
    for (member, _), values in zip(members, found.arguments, strict=True):
        member.group, member.arguments = made, values
    return made
