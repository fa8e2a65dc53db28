"""What differs in two networks, in their own terms: stages, blocks, layers, and what they cost."""

from resspec.differ.difference import Difference as Difference
from resspec.differ.difference import difference as difference
