"""promptcot: PromptCoT 2.0, complete. Learn to write training problems by EM over design rationales, and synthesize them.

    import promptcot
    promptcot.run("demo", folder="runs/demo")
    promptcot.open("runs/demo")["screen"]        # an Arrow table

Everything is imported on first use, so that `promptcot --help` answers at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from promptcot.api import (
        OpenRun,
        analyze,
        calibrate_votes,
        compare,
        contest_rating,
        evaluate,
        explain,
        export,
        export_benchmark,
        hash_texts,
        label,
        open,
        plan,
        preview,
        report,
        run,
        run_program,
        screen,
        status,
        trial,
        verify_answers,
    )

__all__ = [
    "OpenRun",
    "__version__",
    "analyze",
    "calibrate_votes",
    "compare",
    "contest_rating",
    "evaluate",
    "explain",
    "export",
    "export_benchmark",
    "hash_texts",
    "label",
    "open",
    "plan",
    "preview",
    "report",
    "run",
    "run_program",
    "screen",
    "status",
    "trial",
    "verify_answers",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from promptcot import api

        return getattr(api, name)
    raise AttributeError(f"module `promptcot` has no attribute `{name}`")
