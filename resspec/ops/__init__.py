"""Every op, one family a file."""

from resspec.ops import activation as activation
from resspec.ops import conv as conv
from resspec.ops import einsum as einsum
from resspec.ops import linear as linear
from resspec.ops import merge as merge
from resspec.ops import norm as norm
from resspec.ops import pool as pool
from resspec.ops import relative as relative
from resspec.ops import scaling as scaling
from resspec.ops import shape as shape
from resspec.ops import tokens as tokens
from resspec.ops.base import OPS as OPS
from resspec.ops.base import Init as Init
from resspec.ops.base import Op as Op
from resspec.ops.base import OpError as OpError
from resspec.ops.base import Param as Param
