"""Weight files of strangers, read without any framework and without running anything in them."""

from resspec.weights.files.checkpoint import OF_KERAS as OF_KERAS
from resspec.weights.files.checkpoint import Checkpoint as Checkpoint
from resspec.weights.files.checkpoint import Wanted as Wanted
from resspec.weights.files.checkpoint import WeightSet as WeightSet
from resspec.weights.files.checkpoint import check as check
from resspec.weights.files.checkpoint import keras_config as keras_config
from resspec.weights.files.checkpoint import limit as limit
from resspec.weights.files.checkpoint import read as read
