"""YAML text → plain data that knows its places.

The text becomes `Map`, `Seq` and scalars, each with a `Span`; no Python object is ever constructed
from a tag. Scalars are read by the YAML 1.2 core rules, and what readers of YAML disagree on is an
error rather than a guess. All problems that can be found are reported at once.
"""

from resspec.syntax.data import Data as Data
from resspec.syntax.data import Map as Map
from resspec.syntax.data import Seq as Seq
from resspec.syntax.data import placed as placed
from resspec.syntax.reader import parse as parse
from resspec.syntax.reader import read as read
from resspec.syntax.writer import dump as dump
