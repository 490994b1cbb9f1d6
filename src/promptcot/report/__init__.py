"""The report of a run: one HTML file that works offline. `data` says what it shows, `page` writes it."""

from promptcot.report.data import ReportData
from promptcot.report.page import write

__all__ = ["ReportData", "write"]
