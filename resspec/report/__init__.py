"""A network as a page that people look at: one HTML file, which needs no network."""

from resspec.report.data import MOST, described, differing, pictured
from resspec.report.page import page

__all__ = ["MOST", "described", "differing", "page", "pictured"]
