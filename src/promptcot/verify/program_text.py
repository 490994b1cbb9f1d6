"""The program in a model's answer: the last fenced block that holds one, after the reasoning; not its sample output, not a shell line.

    extract("...</think>Here it is:\\n```python\\nprint(1)\\n```\\nIt prints\\n```\\n1\\n```") -> Extracted("print(1)\\n", Language.PYTHON)

A block whose fence is never closed was cut, and is none. Indented blocks without a fence are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from promptcot.sandbox.programs import Language, Program, guess
from promptcot.verify.extraction import after_reasoning
from promptcot.verify.mutants import parsed

_LANGUAGES = {
    **dict.fromkeys(("python", "python3", "py", "py3", "python2", "pypy", "pypy3"), Language.PYTHON),
    **dict.fromkeys(("cpp", "c++", "cc", "cxx", "cpp17", "c++17", "cpp20", "c++20", "cpp14", "c++14", "c"), Language.CPP17),
}
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_CODE = re.compile(
    r"^\s*(def |class |import |from \w[\w.]* import |for .+:\s*$|while .+:\s*$|if .+:\s*$|print\(|[\w, ]+ = |#\s*include\b|int main\b)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Extracted:
    """A program and the language that its fence names, or its text suggests."""

    source: str
    language: Language

    def program(self, function: str = "") -> Program:
        """As one to be run. A function is called in Python, whatever the fence says: another language then fails as a program does."""
        return Program(self.source, Language.PYTHON if function else self.language, function)


def extract(answer: str) -> Extracted | None:
    """The last program of an answer, or None; what stands in reasoning that never ends is none."""
    found = None
    for name, text in _blocks(after_reasoning(answer) or ""):
        language = _LANGUAGES.get(name)
        if language is None and not name and _CODE.search(text):
            language = guess(text)
        if language is not None and text.strip():
            found = Extracted(text, language)
    return found


def whole(text: str) -> Extracted | None:
    """A text that is nothing but a program: it has statements of Python and compiles, or it looks like C++ from its first line on."""
    first = text.lstrip().partition("\n")[0]
    if guess(text) is Language.CPP17:
        return Extracted(text, Language.CPP17) if guess(first) is Language.CPP17 or first.startswith(("//", "/*")) else None
    return Extracted(text, Language.PYTHON) if _CODE.search(text) and parsed(text) else None


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Closed fenced blocks: the first word of the fence in lower case, and what lies inside, in one pass over the lines."""
    fence, name, inside = "", "", list[str]()
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line.rstrip("\r\n"))
        if not fence:
            if mark:
                words = mark[2].replace("{", " ").replace("}", " ").split()
                fence, name, inside = mark[1], words[0].lower().lstrip(".") if words else "", []
        elif mark and not mark[2].strip() and mark[1].startswith(fence):
            yield name, "".join(inside)
            fence = ""
        else:
            inside.append(line)
