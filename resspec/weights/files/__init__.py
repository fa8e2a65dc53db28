"""Weight files of strangers, read without any framework and without running anything in them."""

from resspec.weights.files.checkpoint import Checkpoint as Checkpoint
from resspec.weights.files.checkpoint import WeightSet as WeightSet
from resspec.weights.files.checkpoint import check as check
from resspec.weights.files.checkpoint import read as read
