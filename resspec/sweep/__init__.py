"""What the networks of a design space cost: settings → counts, on all cores, no framework."""

from resspec.sweep.front import best as best
from resspec.sweep.front import front as front
from resspec.sweep.front import keep as keep
from resspec.sweep.front import ordered as ordered
from resspec.sweep.run import COSTS as COSTS
from resspec.sweep.run import Found as Found
from resspec.sweep.run import costs as costs
from resspec.sweep.space import Setting as Setting
from resspec.sweep.space import Space as Space
from resspec.sweep.space import axis as axis
from resspec.sweep.space import space as space
