"""Blocks by name: the model's own, those beside its file and on `--path`, shipped; each file is
read and checked once, however often it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from resspec import zoo
from resspec.diagnostics import Span, SpecError, error
from resspec.files import content, unchanged
from resspec.language.checker import show
from resspec.language.grammar import Grammar, well_formed
from resspec.language.spec import BlockSpec
from resspec.ops.base import OPS
from resspec.syntax import Data, Map, Seq, parse
from resspec.zoo import shown


class Library:
    """Finds blocks by name: the model's own, beside its file, `--path`, shipped."""

    def __init__(self, own: Mapping[str, BlockSpec], folders: Sequence[Path]) -> None:
        self.own, self.folders = own, zoo.beside(folders)
        self.found: dict[str, BlockSpec | None] = dict(own)
        self.broken: dict[str, SpecError] = {}
        self.sources: dict[str, str] = {}
        self.borrowed: dict[str, Map] = {}  # blocks from outside the shipped library
        for name, block in own.items():
            self._check_clash(name, zoo.candidates(name, "block", self.folders), block)

    def __call__(self, name: str) -> BlockSpec | None:
        if name in self.broken:
            raise self.broken[name]
        if name not in self.found:
            try:
                self.found[name] = self._load(name)
            except SpecError as caught:
                self.broken[name] = caught
                raise
        return self.found[name]

    def _check_clash(self, name: str, paths: Sequence[Path], own: BlockSpec | None = None) -> None:
        if len(paths) + (own is not None) > 1:
            places = [f"{own.span.file} (its own `blocks:`)"] if own else []
            places += map(shown, paths)
            raise error(
                "name-clash",
                f"block `{name}` is defined twice: {places[0]} and {places[1]}",
                own.span if own else None,
                help="give yours another name",
            )

    def _load(self, name: str) -> BlockSpec | None:
        if name in OPS and not self.folders:  # no shipped block is called as an op
            return None
        paths = zoo.candidates(name, "block", self.folders)
        if not paths:
            return None
        self._check_clash(name, paths)
        path, file = paths[0], shown(paths[0])
        ours = zoo.ships(path)
        text, data, block = _block(unchanged(path) if ours else content(path), file)
        self.sources[file] = text
        if block.name != name:
            raise error(
                "not-found",
                f"`{file}` defines `{block.name}`, a file is named by its block",
                block.span,
                help=f"rename the file to `{block.name}.yaml`",
            )
        if not ours:
            self.borrowed[name] = data
        return block

    def own_blocks(self) -> list[BlockSpec]:
        """Blocks from outside the shipped library that the model called."""
        return [block for name in self.borrowed if (block := self.found[name]) is not None]

    def known(self) -> list[str]:
        """Names to suggest."""
        return [*self.own, *zoo.known_blocks(self.folders)]


@lru_cache(maxsize=512)
def _block(text: bytes, file: str) -> tuple[str, Map, BlockSpec]:
    """The block in a file's text, and its data; `file` is what messages call it."""
    data = parse(text, file)
    if not isinstance(data, Map):
        raise no_mapping(f"`{file}` holds {show(data)}, and a block is a mapping", file, data)
    return text.decode("utf-8"), data, well_formed(data, Grammar.block)


def no_mapping(message: str, file: str, data: Data) -> SpecError:
    """That a file holds no mapping."""
    span = data.span if isinstance(data, Seq) else Span(file, 1, 1, 1, 2)
    return error("not-a-mapping", message, span, help="begin with `model: name`, no dash before it")
