"""Suites of unit tests: solutions vote, wrong words and wrong programs lose, and a suite that tells nothing apart is dropped."""

import itertools
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptcot.outcomes import Drop
from promptcot.sandbox import Limits
from promptcot.sandbox.programs import Language, Program, Ran, Status
from promptcot.sandbox.runners import Local
from promptcot.verify.ballots import NONDETERMINISTIC, Majority, poll
from promptcot.verify.candidates import Candidate, gather, generate
from promptcot.verify.mutants import mutants, parsed
from promptcot.verify.outputs import same_output
from promptcot.verify.unittests import Bars, build

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandbox")]  # dozens of programs a test

LIMITS = Limits(cpu_s=0.5, wall_s=30, memory_mb=128)
RIGHT = [
    "n = int(input())\nprint(n * 2 if n > 10 else n + 10)",
    "n = int(input())\nif n <= 10:\n    print(10 + n)\nelse:\n    print(n + n)",
    "import sys\nn = int(sys.stdin.read())\nprint([n + 10, 2 * n][n > 10], ' ')",
]
WRONG = "n = int(input())\nprint(n * 2)"
KINDS = {3: "edge_case", 10: "edge_case", 11: "error_prone", 12: "complex", 40: "complex"}
INPUTS = [Candidate(str(n), kind) for n, kind in KINDS.items()]


def python(*sources: str) -> dict[int, Program]:
    return {number: Program(source, Language.PYTHON) for number, source in enumerate(sources)}


def suite(candidates, *sources, **how):
    return build(candidates, python(*sources), LIMITS, **how)


def test_a_planted_wrong_output_does_not_survive():
    said = {"3": "6", "10": "20", "11": "22 \n"}
    planted = [replace(c, expected=said.get(c.input)) for c in INPUTS]
    found = suite(planted, *RIGHT)
    assert [(t.input, t.output.split()) for t in found.tests] == [
        ("3\n", ["13"]), ("10\n", ["20"]), ("11\n", ["22"]), ("12\n", ["24"]), ("40\n", ["80"])
    ]  # fmt: skip
    assert found.why is None
    assert found.quality.writer is not None
    assert (found.quality.writer.n, round(found.quality.writer.value * 3)) == (3, 2)


def test_a_planted_wrong_solution_is_outvoted_and_seen():
    found = suite(INPUTS, *RIGHT, WRONG)
    assert [t.output.split() for t in found.tests] == [["13"], ["20"], ["22"], ["24"], ["80"]]
    assert [p.solutions for p in found.poll.ballots[0].piles] == [(0, 1, 2), (3,)]
    assert found.quality.agreement == pytest.approx((0.75 + 4) / 5)


def test_a_suite_reports_its_quality():
    q = suite(INPUTS, *RIGHT).quality
    assert (q.voted, q.kinds, q.agreement) == (5, {"complex": 2, "edge_case": 2, "error_prone": 1}, 1.0)
    assert (q.controls, q.constant) == ({"empty": "wrong_answer", "constant": "wrong_answer"}, 1)
    assert q.kills is not None
    assert q.kills.n == sum(q.deaths.values()) + len(q.survivors) >= 5
    assert q.kills.low < q.kills.value <= q.kills.high <= 1


@pytest.mark.parametrize(
    ("candidates", "sources", "bars", "why"),
    [
        (INPUTS[:1] * 5, RIGHT, Bars(), Drop.FEW_TESTS),
        (INPUTS[:1] * 5, RIGHT, Bars(tests=1), Drop.CONTROL_PASSES),
        ([Candidate(str(n), "complex") for n in (500, 1000)], RIGHT, Bars(tests=1, kills=0.99), Drop.WEAK_TESTS),
        (INPUTS, ["print(input())", "n = input()\nprint(n)", "import sys\nprint(sys.stdin.read())"], Bars(), Drop.WEAK_TESTS),
        (INPUTS, RIGHT[:2], Bars(), Drop.NO_SOLUTIONS),
        (INPUTS, [*RIGHT, WRONG], Bars(agreement=0.99), Drop.LOW_AGREEMENT),
        (INPUTS, [*RIGHT, WRONG, WRONG + " "], Bars(tests=5, agreement=0), None),
        (INPUTS, [*RIGHT, *(WRONG + " " * n for n in range(3))], Bars(tests=5), Drop.FEW_TESTS),
        (INPUTS, [RIGHT[0] + "\n" * n for n in range(5)], Bars(), Drop.FEW_TESTS),
        ([], RIGHT, Bars(), Drop.FEW_TESTS),
    ],
)
def test_a_suite_below_a_bar_is_dropped_with_its_reason(candidates, sources, bars, why):
    found = suite(candidates, *sources, bars=bars)
    assert found.why == why
    assert bool(found.tests) == (why is None)
    assert bool(found.detail) == (why is not None)


def test_who_cannot_vote_is_left_out_and_counted():
    odd = ["while True: pass", "import random\nprint(random.random())", "1 +", "1 / 0", "pass"]
    found = suite(INPUTS, *RIGHT, *odd)
    assert found.poll.voters == (0, 1, 2)
    assert found.poll.left_out == {
        "compile_error": (5,), "no_output": (7,), NONDETERMINISTIC: (4,), "runtime_error": (6,), "time_limit": (3,)
    }  # fmt: skip
    assert found.why is None


def test_a_failure_is_an_outcome_of_the_vote_and_counts_against_the_majority():
    frail = ["n = int(input())\nassert n < 12\n" + source.replace("n = int(input())\n", "") for source in RIGHT[:2]]
    found = suite(INPUTS, *RIGHT, *frail, majority=Majority(share=0.7))
    assert [t.input for t in found.tests] == []
    assert found.why is Drop.FEW_TESTS
    assert found.poll.ballots[3].failures == {"runtime_error": (3, 4)}
    assert [ballot.winner(Majority(share=0.7)) is not None for ballot in found.poll.ballots] == [True, True, True, False, False]


def test_generators_print_inputs_and_unsteady_ones_are_not_used():
    steady = "import random\ns = int(input())\nrandom.seed(s)\nprint(s * 10 + random.randrange(10))"
    programs = [Program(s, Language.PYTHON) for s in (steady, "import random\nprint(random.random())", "1 / 0", "pass")]
    made = generate(programs, range(1, 4), LIMITS, Local(), "generated")
    assert [c.input[0] for c in made.candidates] == ["1", "2", "3"]
    assert made.runs == {NONDETERMINISTIC: 3, "no_output": 3, "printed": 3, "runtime_error": 3}
    assert generate(programs, range(1, 4), LIMITS, Local(), "generated") == made


# without a sandbox: what solutions print is a table


class Table:
    """A runner whose programs are tables from an input to what they print; None is an error. Remembers what it was given."""

    kind = "table"

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    @contextmanager
    def session(self, program, limits):
        prints, runner = eval(program.source), self

        class Prepared:
            def run(self, given: bytes) -> Ran:
                runner.seen.append(given)
                text = prints.get(given.decode().strip())
                return Ran(Status.RUNTIME_ERROR, 1) if text is None else Ran(Status.EXITED, stdout=text.encode())

        yield Prepared()


names = st.sampled_from("abcd")
tables = st.dictionaries(names, st.sampled_from(["1", "2 ", " 2", "2\n", ""]), min_size=1).map(repr)
CHOSEN = [Candidate(name, "complex") for name in "abcd"]


def won(candidates, solutions):
    rule = Majority(share=0.51, least=2, distinct=1)
    held = poll(gather(candidates).candidates, solutions, LIMITS, Table())
    return {b.candidate.input: pile.output for b in held.ballots if (pile := b.winner(rule))}


@given(st.lists(tables, min_size=1, max_size=6), st.randoms())
def test_the_order_of_the_votes_does_not_matter(sources, stream):
    shuffled = list(sources)
    stream.shuffle(shuffled)
    assert won(CHOSEN, python(*sources)) == won(CHOSEN, python(*shuffled))


@given(st.lists(tables, min_size=1, max_size=6), st.lists(names))
def test_a_duplicate_input_adds_nothing(sources, again):
    more = [*CHOSEN, *(Candidate(f" {name}  \n\n", "edge_case", "9") for name in again)]
    assert won(CHOSEN, python(*sources)) == won(more, python(*sources))


@given(st.lists(tables, min_size=1, max_size=6))
def test_what_is_kept_most_voters_printed(sources):
    held = poll(gather(CHOSEN).candidates, python(*sources), LIMITS, Table())
    for given_, output in won(CHOSEN, python(*sources)).items():
        printed = [eval(sources[n]).get(given_.strip()) for n in held.voters]
        assert output in printed
        assert 2 * sum(same_output(output.encode(), p.encode()) for p in printed if p) > len(held.voters)


class Watched:
    """The real sandbox, with all that enters it remembered."""

    kind = "watched"

    def __init__(self) -> None:
        self.local = Local()
        self.sources: list[str] = []
        self.inputs: list[bytes] = []

    @contextmanager
    def session(self, program, limits):
        self.sources.append(program.source)
        with self.local.session(program, limits) as session:
            run, inputs = session.run, self.inputs

            class Prepared:
                def run(self, given: bytes) -> Ran:
                    inputs.append(given)
                    return run(given)

            yield Prepared()


def test_expected_outputs_never_enter_a_sandbox():
    runner = Watched()
    found = suite([replace(c, expected="SECRET") for c in INPUTS], *RIGHT, runner=runner)
    assert found.why is None
    assert set(runner.inputs) == {f"{c.input}\n".encode() for c in INPUTS}
    assert not any("SECRET" in source for source in runner.sources)
    assert [s for s in runner.sources if any(t.output.strip() in s for t in found.tests)] == ["print('13')"]  # the constant control


# inputs


@pytest.mark.parametrize(
    ("one", "other", "same"), [("1 2\n3", "1  2 \n3\n\n", True), ("1 2\n3", "1\n2 3", False), ("a\n\nb", "a\nb", False), ("", "\n", True)]
)
def test_inputs_are_the_same_by_their_lines(one, other, same):
    assert gather([Candidate(one, "complex"), Candidate(other, "complex")]).duplicates == same


def test_too_long_inputs_are_counted():
    assert gather([Candidate("1" * 300_000, "complex")]).too_long == 1


# mutants

BUSY = """
import sys
sys.setrecursionlimit(10000)
def main():
    n = int(input())
    while n > 3 and n != 7:
        n = n // 2 if n % 2 == 0 else n - 1
        if n == 5:
            n += 1
    print(f"{n:>1}")
if __name__ == "__main__":
    main()
"""


def test_mutants_repeat_compile_and_differ():
    made = mutants(BUSY, 50, seed=1)
    assert made == mutants(BUSY, 50, seed=1)
    assert made[:5] != mutants(BUSY, 50, seed=2)[:5]
    assert len({m.source for m in made}) == len(made) > 12
    assert all(parsed(m.source) for m in made)
    assert {m.change.split(",")[0] for m in made} == {"comparison", "arithmetic", "number", "negation", "branches", "and_or"}


def test_a_mutant_changes_one_line_and_leaves_the_machine_alone():
    plain = mutants(BUSY, 0, seed=0)
    assert plain == []
    for mutant in mutants(BUSY, 50, seed=0):
        assert "setrecursionlimit(10000)" in mutant.source
        assert "__name__ == '__main__'" in mutant.source
        assert "{n:>1}" in mutant.source


@given(st.integers(0, 3), st.sampled_from(RIGHT), st.integers(1, 8))
@settings(max_examples=20)
def test_few_mutants_are_the_first_of_many(seed, source, most):
    assert mutants(source, most, seed=seed) == mutants(source, 30, seed=seed)[:most]


@pytest.mark.parametrize("source", ["1 +", "\0", "(" * 5000, "-" * 60_000 + "1", "x" * 70_000, "1" * 5000])
def test_what_cannot_be_parsed_has_no_mutants(source):
    assert mutants(source, 5, seed=0) == []


def test_kinds_of_change_take_turns():
    first = [m.change.split(",")[0] for m in itertools.islice(mutants(BUSY, 50, seed=0), 6)]
    assert len(set(first)) >= 4
