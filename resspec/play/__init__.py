"""The playground: one page on this machine with an editor of a spec and, beside it, the network."""

from resspec.play.server import Server as Server
