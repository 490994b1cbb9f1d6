"""The benchmarks known by name: how large they are, how they are graded, which files and which hub data set hold them.

`known` are digests of copies that were looked at, `known_statements` of those without tests. Revisions are those that public evaluation
code pins; None where none was found. Dates of LiveCodeBench's release files are upper limits: which files a window needs, not what is in
them.
"""

from __future__ import annotations

from dataclasses import dataclass

from promptcot.outcomes import Grading

MATH = "id, problem, answer"
PROGRAMS = 'id, problem, tests (a list of {"input", "output"}; optional: function, starter, rating, contest, date)'
LIVECODEBENCH = "as published: question_id, question_content, contest_date, starter_code, public_test_cases, private_test_cases, metadata"


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set of the Hugging Face hub: NAME or NAME:CONFIG."""

    name: str
    split: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hf:{self.name}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True, slots=True)
class Part:
    """One of several files that make up a benchmark; no contest in it is of `before` or later."""

    file: str
    before: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A benchmark of the catalog. `files` and `statements` (texts without tests) are names without suffix, in the order they are tried;
    `window` is of contest dates, its end excluded; `remark` is what a reader of its scores must know."""

    name: str
    size: int
    grading: Grading
    hub: Hub
    files: tuple[str, ...]
    statements: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    domain: str = "math"
    fields: str = MATH
    license: str = ""
    window: tuple[str, str] | None = None
    known: frozenset[str] = frozenset()
    known_statements: frozenset[str] = frozenset()
    remark: str = ""


_RELEASE_5 = (
    Part("test.jsonl", "2024-06-01"),
    Part("test2.jsonl", "2024-08-01"),
    Part("test3.jsonl", "2024-10-01"),
    Part("test4.jsonl", "2024-12-01"),
    Part("test5.jsonl", "2025-02-01"),
)
_RELEASE_6 = (*_RELEASE_5, Part("test6.jsonl", "2025-06-01"))
_LIVECODEBENCH = Hub("livecodebench/code_generation_lite", "test", "0fe84c3912ea0c4d4a78037083943e8f0c4dd505")

_ENTRIES = (
    Entry(
        "aime24",
        30,
        Grading.INTEGER,
        Hub("HuggingFaceH4/aime_2024", "train", "2fe88a2f1091d5048c0f36abc874fb997b3dd99a"),
        files=("aime24", "aime_24", "aime2024", "aime_2024"),
        known=frozenset(["63dc2d22f5dc161e13328d45e21868e5"]),
    ),
    Entry(
        "aime25",
        30,
        Grading.INTEGER,
        Hub("MathArena/aime_2025", "train", "c94da77eb22bbd6439e62a323bec18493a421302"),
        files=("aime25", "aime_25", "aime2025", "aime_2025"),
        remark="AIME 2025 is I and II, 15 problems each",
    ),
    Entry(
        "hmmt25",
        30,
        Grading.ANSWER,
        Hub("MathArena/hmmt_feb_2025", "train", "6fdc4277120810ff75aa22d2d5489b91f7a262a1"),
        files=("hmmt25", "hmmt_25", "hmmt_feb25", "hmmt_feb_2025"),
        known=frozenset(["823de8d4ebdad3471d34fc092c96aa56"]),
    ),
    Entry(
        "math500",
        500,
        Grading.ANSWER,
        Hub("HuggingFaceH4/MATH-500", "test", "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be"),
        files=("math500", "math_500", "math-500", "MATH-500"),
        known=frozenset(["c737988d661a38158e73e7cf5c63b53d"]),
        license="MIT",
    ),
    Entry(
        "gsm8k",
        1319,
        Grading.ANSWER,
        Hub("openai/gsm8k:main", "test", "740312add88f781978c0658806c59bc2815b9866"),
        files=("gsm8k", "gsm8k_test", "gsm8k-test"),
        known=frozenset(["90094f9b5abdbf62351a9e7ef937532d"]),
        license="MIT",
    ),
    Entry(
        "lcb-v5",
        279,
        Grading.LIVECODEBENCH,
        _LIVECODEBENCH,
        files=("lcb_v5", "lcb-v5", "livecodebench_v5"),
        statements=("lcb_v5_statements", "lcb-v5-statements"),
        known_statements=frozenset(["030d27a299c20caa14983b9c834e45bf"]),
        parts=_RELEASE_5,
        domain="code",
        fields=LIVECODEBENCH,
        window=("2024-08-01", "2025-02-01"),
    ),
    Entry(
        "lcb-v6",
        131,
        Grading.LIVECODEBENCH,
        _LIVECODEBENCH,
        files=("lcb_v6", "lcb-v6", "livecodebench_v6"),
        statements=("lcb_v6_statements", "lcb-v6-statements"),
        parts=_RELEASE_6,
        domain="code",
        fields=LIVECODEBENCH,
        window=("2025-02-01", "2025-05-01"),
    ),
    Entry(
        "codeforces",
        408,
        Grading.TESTS,
        Hub("Qwen/CodeElo", "test"),
        files=("codeforces", "codeelo", "code_elo"),
        known=frozenset(["042463e267741cac3ef0aafe0814f4ea"]),
        domain="code",
        fields=PROGRAMS,
        remark="1 to 5 sample tests a problem: passing them is less than being accepted by the judge",
    ),
)

CATALOG = {entry.name: entry for entry in _ENTRIES}
