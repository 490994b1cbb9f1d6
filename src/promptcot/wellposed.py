r"""Is a text a problem one can set to work on? Three rules over the wording alone, text -> bool, each true for a good problem.

They reject what a model writes when it fails: texts that break off, drift into loops, ask nothing, or ask for a proof.
They do not judge the mathematics: a problem with contradicting or missing givens passes. On published human problems each
rule should be true but for genuine cases (a proof, a statement whose figure or ending was lost).
"""

from __future__ import annotations

import re

_TAGS = re.compile(r"<!--|-->|<\|[^|>]*\|>|</?(think|answer|rationale|problem)>|\[/?INST\]|(BEGIN|END) (RATIONALE|PROBLEM)\b")
_CLOSED = re.compile(r"[.?!:;\d)\]}$%*|\"'”’»。？！]$|°$")
_CUT = re.compile(
    r"\b(the|an|of|and|or|to|in|on|at|by|for|from|with|into|than|that|which|whose|is|are|was|were|has|have|if|when|each|every|its|their"
    r"|his|her|how|many|what|between)$|[,+=<>({\[\\-]$|\\[a-zA-Z]+$",
    re.IGNORECASE,
)
_ENUMERATOR = re.compile(r"(?:^|(?<=\s))(?:\w|\d\d|[ivx]{1,4})$")
_QUOTED = re.compile(r"""(["'`“‘])[^\w\s]*(["'`”’])|\\[{}]|[:;]-?[()](?=\s|$)""")
_MONEY = re.compile(r"\$(?=\s?\d|\.\d)|(?<=\d)\$")
_OPEN = {"(": "round", "[": "round", "{": "curly"}
_CLOSE = {")": "round", "]": "round", "}": "curly"}
_LOOP_WORDS = 12
_LOOPS = 4


def complete(text: str) -> bool:
    r"""Whether the text is whole: it ends like a sentence, formula or list, and nothing opened is left open.

    False for leftover template tags, an end without a closing sign or in a word or sign that asks for more (`of the`, `=`, `\frac`), dollar
    signs, brackets and LaTeX environments without partner, and a phrase repeated over and over. Half-open intervals, money, enumerators
    such as `a)` and smileys are allowed for. A cut at the end of a sentence or of an inner line goes unseen."""
    stripped = text.strip()
    if not stripped or _TAGS.search(stripped) or _CUT.search(stripped):
        return False
    ended = bool(_CLOSED.search(stripped) or "\n" in stripped)
    return ended and _dollars_pair(stripped) and _brackets_pair(stripped) and _environments_pair(stripped) and not loops(stripped)


def _dollars_pair(text: str) -> bool:
    """An even number of `$`, or an odd one of which some may be money."""
    plain = text.replace(r"\$", "")
    return plain.count("$") % 2 == 0 or bool(_MONEY.search(plain))


def _brackets_pair(text: str) -> bool:
    """Every bracket has a partner that nests; `(` may go with `]`. Closing ones after an enumerator, and quoted ones, stand alone."""
    plain = _QUOTED.sub(" ", text)
    opened: list[str] = []
    for i, char in enumerate(plain):
        if char in _OPEN:
            opened.append(_OPEN[char])
        elif char in _CLOSE:
            if opened and opened[-1] == _CLOSE[char]:
                opened.pop()
            elif char != ")" or not _ENUMERATOR.search(plain[max(0, i - 6) : i]):
                return False
    return not opened


def _environments_pair(text: str) -> bool:
    begun, ended = (sorted(re.findall(rf"\\{word}\s*{{([^}}]*)}}", text)) for word in ("begin", "end"))
    return begun == ended and text.count("[asy]") == text.count("[/asy]")


def loops(text: str) -> bool:
    """Whether a phrase of up to 12 words, not all of them numbers, comes four times in a row (one word: eight times)."""
    tokens = text.lower().split()
    for size in range(1, _LOOP_WORDS + 1):
        needed, run = size * ((_LOOPS if size > 1 else 2 * _LOOPS) - 1), 0
        for i in range(size, len(tokens)):
            run = run + 1 if tokens[i] == tokens[i - size] else 0
            if run >= needed and any(re.search(r"[^\W\d_]{2}", w) for w in tokens[i - size : i]):
                return True
    return False


_CLAUSE = r"(?:^|[.!?:;,$)\]}\n]\s*(?:\(?[a-z0-9]\)\s*)?|\b(?:then|and|must|please|should|can you|also|"
_ORDER = re.compile(
    _CLAUSE + r"to|now|first|help \w+)\s+)(find|determine|compute|calculate|evaluate|express|simplify|solve|factor(?:ize)?|expand|convert"
    r"|write|give|list|count|estimate|approximate|round|name|state|rewrite|complete|print|output|return|report|tell|identify|choose|select"
    r"|order|arrange|construct|build|maximi[sz]e|minimi[sz]e|answer|decide|check|implement|design|create|fill|graph|sketch|draw|describe"
    r"|explain|say|enter|reduce|divide|multiply|add|subtract|differentiate|integrate|classify|compare|predict|work out|process|prove|show"
    r"|verify|derive)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"\b(how (many|much|long|far|old|often|tall|fast|big|large|wide|high|deep|likely|late|soon|heavy|well)|what's|which (of|one)|in how"
    r"|what (is|are|was|were|will|would|does|do|did|fraction|percent|number|value|time|distance|area|length))\b",
    re.IGNORECASE,
)
_OUTPUT = re.compile(r"^[\s#*-]*(output|returns?)\b[\s:*-]|\b(output|print|returns?|outputs?|prints?):?\s", re.IGNORECASE | re.MULTILINE)
_NEAR_END = 600


def states_task(text: str) -> bool:
    """Whether the reader is asked or told to do something: a question (mark or words) or an order such as `Find` or `Print`.

    A question mark counts within the last 600 characters; orders only where a clause begins, so that `she can find 3` is none;
    `Output:` and the like serve programming tasks. Whether the task can be done is not asked."""
    return "?" in text[-_NEAR_END:] or any(rule.search(text) for rule in (_QUESTION, _ORDER, _OUTPUT))


_PROOF = re.compile(
    _CLAUSE + r"task is to|asked to|able to|hence|thus|or)\s+)"
    r"(?:(?:dis)?prove\b(?! (?:your|his|her|their) (?:worth|skill))|show,? (?:that|why|how|there|for (?:all|any|every))\b"
    r"|(?:demonstrate|verify|establish|justify|deduce) (?:that|why|your|the following)\b"
    r"|(?:give|write|provide|find|present|outline) (?:an?|the)(?: \w+)? proof\b)",
    re.IGNORECASE,
)


def not_a_proof(text: str) -> bool:
    """Whether the text asks for something other than a proof, which no comparison of answers can check.

    False for the orders `prove`, `show that`, `verify that`, `give a proof` and their kind where a clause begins. `It can be shown that`,
    `proofread`, `waterproof` and `80 proof` are no orders. A request for a proof in other words (`why is`) goes unseen."""
    return not _PROOF.search(text)
