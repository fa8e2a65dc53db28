"""A network as a page that people look at: one HTML file, which needs no network."""

from resspec.report.data import described as described
from resspec.report.data import differing as differing
from resspec.report.data import pictured as pictured
from resspec.report.page import page as page
