"""Weights in canonical names and layout: drawn, stored, read back.

Canonical layout: convolutions (O, I/groups, kh, kw), linear (O, I), one number a channel (C,).
"""

from resspec.weights.fitting import Stored as Stored
from resspec.weights.fitting import must_hold as must_hold
from resspec.weights.fitting import take as take
from resspec.weights.given import model_of as model_of
from resspec.weights.randomised import randomise as randomise
from resspec.weights.start import Weights as Weights
from resspec.weights.start import cotangent as cotangent
from resspec.weights.start import draw as draw
from resspec.weights.start import example as example
from resspec.weights.start import zeros as zeros
from resspec.weights.stored import check as check
from resspec.weights.stored import encode as encode
from resspec.weights.stored import fit as fit
from resspec.weights.stored import load as load
from resspec.weights.stored import read as read
from resspec.weights.stored import save as save
