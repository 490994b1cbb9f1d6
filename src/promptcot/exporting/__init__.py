"""Rows and weights for other tools: what a run made, in the form that a trainer, a server or the hub reads.

    tables of a run, or a file  ->  Material (problems, labels, pairs, traces)  --license-->  a format's rows  ->  PATH

`material` reads, `licenses` filters, `trl`, `verl`, `requests` and `released` make rows, `dataset` a folder for the hub with its card,
`weights` a model's folder with its card; `formats` is the list of them all, and the only door.
"""

from promptcot.exporting.formats import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "export"]
