"""The report of a run: one HTML file that works offline. `data` says what it shows, `page` writes it."""

from promptcot.reporting.data import ReportData
from promptcot.reporting.page import write

__all__ = ["ReportData", "write"]
