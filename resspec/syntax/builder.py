"""YAML events → data, of which no more are drawn than the bounds admit."""

import re
from typing import Any

import yaml

from resspec.diagnostics import Diagnostic, Note, Span, error
from resspec.syntax import yamlhelp
from resspec.syntax.data import Data, Map, Seq
from resspec.syntax.lookalikes import diagnose, find
from resspec.syntax.place import split_lines
from resspec.syntax.scalars import ScalarError, resolve

MAX_DEPTH = 64
MAX_VALUES = 50_000  # aliases expanded; a long text counts once per 64 characters

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Node:
    """A built value with its place, its size with aliases expanded, and its height."""

    __slots__ = ("event", "height", "size", "span", "value")

    def __init__(self, value: Data, span: Span, size: int, height: int, event: Any) -> None:
        self.value = value
        self.span = span
        self.size = size
        self.height = height
        self.event = event


class Builder:
    """Builds the data of a text; what can be told without stopping is kept in `problems`."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines = split_lines(text)
        self.plain = text.isascii()
        self.problems: list[Diagnostic] = []
        self.anchors: dict[str, _Node | None] = {}
        self.values = 0
        self.last: Any = None
        self.event = _Loader(text).get_event

    def document(self) -> Data:
        self.event()
        event = self.event()
        start = Span(self.file, 1, 1, 1, 1)
        if isinstance(event, yaml.StreamEndEvent):
            raise error("empty-spec", "the file is empty", start)
        node = self.node(self.next(), 0)
        self.event()
        event = self.event()
        if not isinstance(event, yaml.StreamEndEvent):
            message = "a file holds one document; a second one begins here"
            raise error("yaml-feature", message, self.span(event))
        if node.value is None and getattr(node.event, "value", None) == "":
            raise error("empty-spec", "the file is empty", start)
        return node.value

    def next(self) -> Any:
        """What a node begins with, or the end of a collection: it tells where one is."""
        self.last = event = self.event()
        return event

    def node(self, event: Any, depth: int) -> _Node:
        is_scalar = isinstance(event, yaml.ScalarEvent)
        if not is_scalar and isinstance(event, yaml.AliasEvent):
            return self.alias(event, depth)
        span = self.span(event)
        self.values += 1
        if self.values > MAX_VALUES:
            self.count(0, span)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            help = "remove the tag"
            if re.fullmatch(r"!\w+", tag):
                help += f", or quote what begins with `!`; a condition says `not {tag[1:]}`"
            self.report("yaml-feature", f"the tag `{tag}` is not allowed", span, help)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        if is_scalar:
            node = self.scalar(event, span)
        else:
            if depth >= MAX_DEPTH:
                raise error("too-deep", f"more than {MAX_DEPTH} levels of nesting", span)
            is_map = isinstance(event, yaml.MappingStartEvent)
            node = self.map(event, span, depth) if is_map else self.seq(event, span, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any, depth: int) -> _Node:
        span = self.span(event)
        if event.anchor not in self.anchors:
            help = "an expression that begins with `*` must be quoted"
            self.report("yaml-syntax", f"there is no anchor `&{event.anchor}`", span, help)
            return _Node(None, span, 1, 0, event)
        target = self.anchors[event.anchor]
        if target is None:
            message = f"the alias `*{event.anchor}` is inside what it stands for"
            raise error("too-many-aliases", message, span)
        self.count(target.size, span, event.anchor)
        if depth + target.height > MAX_DEPTH:
            raise error("too-deep", f"more than {MAX_DEPTH} levels of nesting", span)
        return _Node(target.value, span, target.size, target.height, event)

    def scalar(self, event: Any, span: Span) -> _Node:
        text: str = event.value
        size = 1 + len(text) // 64
        if size > 1:
            self.count(size - 1, span)
        if event.style:
            return _Node(text, span, size, 0, event)
        try:
            return _Node(resolve(text), span, size, 0, event)
        except ScalarError as caught:
            self.report(caught.code, caught.message, span, caught.help)
            return _Node(text, span, size, 0, event)

    def seq(self, event: Any, span: Span, depth: int) -> _Node:
        items: list[_Node] = []
        while not isinstance(inner := self.next(), yaml.SequenceEndEvent):
            items.append(self.node(inner, depth + 1))
            if not self.plain:
                self.find_strange(inner)
        value = Seq((item.value for item in items), span=self.close(event, inner, items))
        value.item_spans = [item.span for item in items]
        if event.flow_style:
            self.find_torn(items)
        return self.collection(value, value.span, items, event)

    def map(self, event: Any, span: Span, depth: int) -> _Node:
        parts: list[_Node] = []
        while not isinstance(inner := self.next(), yaml.MappingEndEvent):
            parts.append(self.node(inner, depth + 1))
        value = Map(span=self.close(event, inner, parts))
        torn = self.find_torn(parts) if event.flow_style else set()
        for index in range(0, len(parts), 2):
            key, item = parts[index].event, parts[index + 1].event
            if not self.plain:
                if self.find_strange(key):
                    continue
                if getattr(key, "value", None) != "doc":
                    self.find_strange(item)
            if index not in torn:
                self.entry(value, parts[index], parts[index + 1], flow=bool(event.flow_style))
        return self.collection(value, value.span, parts, event)

    def entry(self, value: Map, key: _Node, item: _Node, *, flow: bool) -> None:
        text = key.value
        name = text if isinstance(text, str) and text != "<<" else self.key(key, item, flow)
        if name is None:
            return
        if flow and item.value is None and (fixed := yamlhelp.glued(key.event, item.event)):
            message = f"`{name}` is one word, and no key with a value"
            self.report("yaml-syntax", message, key.span, f"write `{fixed}`")
            return
        if name in value:
            first = Note("it is first given", value.key_spans[name])
            message = f"the key `{name}` is given twice"
            help = "keep one of the two"
            if not flow:
                help += "; layers are a list, each with its own `- `"
            self.problems.append(Diagnostic("duplicate-key", message, key.span, (first,), help))
            return
        value[name] = item.value
        value.key_spans[name] = key.span
        value.value_spans[name] = item.span

    def key(self, key: _Node, item: _Node, flow: bool) -> str | None:
        """The text of a key, or None if it was reported."""
        if isinstance(key.value, str):
            if key.value == "<<" and not getattr(key.event, "style", None):
                message = "merge keys (`<<`) are not allowed"
                self.report("yaml-feature", message, key.span, "use `extends:` or parameters")
                return None
            return key.value
        if isinstance(key.value, Map | Seq) or not isinstance(key.event, yaml.ScalarEvent):
            filled = isinstance(key.value, Map) and getattr(key.event, "flow_style", False)
            help = "no template is filled in: name it under `params`, set it by `--set`"
            message = "a key must be text, not a list, a map or an alias"
            self.report("wrong-type", message, key.span, help if filled else None)
            return None
        shown = key.event.value
        if shown:
            message, advice = f"the key `{shown}` is not text", f'quote the key: `"{shown}"`'
            if flow and item.value is None:
                advice = "a comma ends a value inside {…}; a number takes a point"
            self.report("wrong-type", message, key.span, advice)
        else:
            self.report("wrong-type", "a key is missing", key.span)
        return None

    def find_strange(self, event: Any) -> bool:
        """Reports characters of a name or an expression that are not what they seem."""
        if not isinstance(event, yaml.ScalarEvent) or event.style:
            return False
        begin: Any = event.start_mark
        end: Any = event.end_mark
        found = [*find(self.text, begin.index, end.index)]
        self.problems += [diagnose(self.text, index, self.file) for index in found]
        return bool(found)

    def find_torn(self, parts: list[_Node]) -> set[int]:
        """Reports expressions that a comma tore apart; the indices of the pieces."""
        torn: set[int] = set()
        inside = slice(parts[0].event.start_mark.index, self.last.end_mark.index) if parts else None
        if inside is None or "(" not in self.text[inside]:
            return torn
        for first, last in yamlhelp.torn([part.event for part in parts]):
            begin, end = parts[first].event.start_mark, parts[last].event.end_mark
            text = self.text[begin.index : end.index]
            span = self.span(parts[first].event, parts[last].event)
            self.report(
                "quote-expression",
                f"YAML reads `{text}` in pieces, because of the comma",
                span,
                f"quote the expression: `{yamlhelp.quoted(text)}`",
            )
            torn.update(range(first + 1, last + 1))
        return torn

    def collection(self, value: Map | Seq, span: Span, parts: list[_Node], event: Any) -> _Node:
        size = 1 + sum([part.size for part in parts])
        height = 1 + max([part.height for part in parts], default=0)
        return _Node(value, span, size, height, event)

    def count(self, values: int, span: Span, anchor: str | None = None) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            if anchor is None:
                raise error("file-too-large", f"more than {MAX_VALUES} values", span)
            message = f"with `*{anchor}`, aliases expand to more than {MAX_VALUES} values"
            raise error("too-many-aliases", message, span)

    def report(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.problems.append(Diagnostic(code, message, span, (), help))

    def close(self, start: Any, end: Any, parts: list[_Node]) -> Span:
        """The span of a collection: to its bracket, or to the end of its last part."""
        if start.flow_style or not parts:
            return self.span(start, end)
        begin, last = self.span(start), parts[-1].span
        return Span(self.file, begin.line, begin.column, last.end_line, last.end_column)

    def span(self, start: Any, end: Any = None) -> Span:
        begin, stop = start.start_mark, (end or start).end_mark
        line, column = stop.line, stop.column
        if column == 0 and line > begin.line:  # past a line break: the end of the line before
            line = min(line, len(self.lines)) - 1
            column = len(self.lines[line])
        return Span(self.file, begin.line + 1, begin.column + 1, line + 1, column + 1)
