"""YAML text → plain data that knows its places.

The text becomes `Map`, `Seq` and scalars, each with a `Span`; no Python object is ever constructed
from a tag. Scalars are read by the YAML 1.2 core rules, and what readers of YAML disagree on is an
error rather than a guess. All problems that can be found are reported at once.
"""

from resspec.syntax.data import Data, Map, Seq, placed
from resspec.syntax.reader import parse, read
from resspec.syntax.writer import dump

__all__ = ["Data", "Map", "Seq", "dump", "parse", "placed", "read"]
