r"""The samples in a programming problem's statement, and whether it contradicts itself by them.

    samples("... Sample Input 1\n\n3\n\nSample Output 1\n\n6")  ->  [Sample("3", "6")]

Read are the forms of AtCoder, Codeforces, LeetCode and their imitators: a heading `Input` (with Sample, Example and a number, or without)
on a line of its own or before a colon, then `Output` in the same form, where both bodies look like data: in a code fence, or after a
heading that says Sample or Example. A statement without such a pair has no samples: nothing is guessed from prose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from promptcot.verify.outputs import same_output

_HEADING = re.compile(
    r"^[ \t#>*]*(?P<sample>(?:sample|example)s?[ \t]*)?(?P<kind>input|output)s?(?P<late>[ \t]+(?:sample|example))?[ \t]*\d*[ \t]*"
    r"(?P<end>\*{0,2}:\*{0,2}|\*{0,2}[ \t]*$)",
    re.IGNORECASE | re.MULTILINE,
)
_SECTION = re.compile(r"^[ \t#*]*(?:samples?|examples?)(?:[ \t]+\d+)?[ \t]*:?[ \t]*\**[ \t]*$", re.IGNORECASE | re.MULTILINE)
_ENDS = re.compile(r"\n[ \t]*\n(?=[ \t]*\S)|^[ \t#*]*(?:explanation|notes?|constraints|hint)\b", re.IGNORECASE | re.MULTILINE)
_FENCED = re.compile(r"\s*```[ \t]*\w*[ \t]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Sample:
    """An input and the output that the statement claims for it."""

    input: str
    output: str

    @property
    def from_stdin(self) -> bool:
        """Whether a program could read the input as it stands: it does not name arguments of a function, as in `nums = [1, 2]`."""
        return re.match(r"\s*[A-Za-z_]\w*\s*=", self.input) is None


def samples(statement: str) -> list[Sample]:
    """The pairs of a statement, in order; a pair without one of its halves is left out."""
    text = statement.replace("\r\n", "\n").replace("\r", "\n")
    headings = list(_HEADING.finditer(text))
    sections = [m.end() for m in _SECTION.finditer(text)]
    found = []
    for this, after, following in zip(headings, headings[1:], [*headings[2:], None], strict=False):
        if (this["kind"].lower(), after["kind"].lower()) != ("input", "output"):
            continue
        given, said = text[this.end() : after.start()], text[after.end() : following.start() if following else len(text)]
        marked = _marked(this) or _marked(after) or any(start <= this.start() for start in sections)
        if (fenced := _FENCED.match(given)) and (also := _FENCED.match(said)):
            found.append(Sample(fenced[1], also[1]))
        elif marked and given.strip() and (body := _body(said)):
            found.append(Sample(_body(given, whole=True) + "\n", body + "\n"))
    return found


def _marked(heading: re.Match[str]) -> bool:
    return bool(heading["sample"] or heading["late"])


def _body(text: str, *, whole: bool = False) -> str:
    """What stands under a heading: a fence's content, or the lines to its end (of an output, to the first empty line)."""
    if fenced := _FENCED.match(text):
        return fenced[1].strip("\n")
    section = _SECTION.search(text)
    stripped = text[: section.start() if section else len(text)].strip()
    return stripped if whole else _ENDS.split(stripped, maxsplit=1)[0].strip()


def contradiction(found: Sequence[Sample]) -> str:
    """What two samples of a statement say differently of one input; empty where nothing is."""
    said: dict[str, str] = {}
    for sample in found:
        key = " ".join(sample.input.split())
        if key in said and not same_output(said[key].encode(errors="replace"), sample.output.encode(errors="replace")):
            return f"for the input `{key[:80]}` it says `{said[key].strip()[:80]}` and `{sample.output.strip()[:80]}`"
        said.setdefault(key, sample.output)
    return ""
