"""Errors a person can act on: what happened, where, and the remedy, with the exit code of the outside contract.

| code | class | meaning |
|---|---|---|
| 1 | (any other exception) | a fault of ours |
| 2 | `UsageError` | wrong usage, recipe or input |
| 3 | `Incomplete` | stopped early; run again to resume |
| 4 | `Stopped` | a gate or a budget said stop; running again will not help |
| 5 | `MissingHere` | this machine lacks something |
"""


class PromptcotError(Exception):
    """An expected failure. `what` happened, `where` (file, line, key; may be empty), `remedy` (what to do about it)."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(self.text())

    def text(self) -> str:
        """The message for people, on up to three lines."""
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(lines)


class UsageError(PromptcotError):
    """Wrong usage, a wrong recipe or wrong input; nothing was changed."""

    exit_code = 2


class Incomplete(PromptcotError):
    """Work stopped before its end; what was finished is kept, and the same command resumes."""

    exit_code = 3


class Stopped(PromptcotError):
    """A gate or a budget stopped the run; the same command would stop again."""

    exit_code = 4


class MissingHere(PromptcotError):
    """This machine lacks something the command needs; the remedy names the command that mends it."""

    exit_code = 5
