"""The starter corpus: original math and code problems with concepts and design rationales, shipped in the package.

`math.jsonl` and `code.jsonl` hold one object a line: `key` (stable name of the row), `domain`, `family`, `split`, `level`, `concepts`,
`rationale`, `problem`, `answer` or `tests`, and `program`, which computes the answer or solves the tests. They are read as the
`native` format; `key` and `program` stay in the file.
"""

from __future__ import annotations

from pathlib import Path

from promptcot.errors import MissingHere, UsageError

LICENSE = "Apache-2.0"
DOMAINS = ("math", "code")


def corpus(domain: str) -> Path:
    """The corpus file of a domain. Raises `UsageError` for an unknown domain."""
    if domain not in DOMAINS:
        raise UsageError(f"the starter corpus has no domain `{domain}`", where="builtin:starter", remedy=f"one of {', '.join(DOMAINS)}")
    path = Path(__file__).parent / f"{domain}.jsonl"
    if not path.is_file():
        raise MissingHere("the installation lacks the starter corpus", where=str(path), remedy="reinstall promptcot")
    return path
