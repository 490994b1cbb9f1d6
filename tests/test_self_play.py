"""Self-play: which questions are trained on, when drawing may end, and which attempts make a pair."""

import itertools
import json
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from promptcot import self_play
from promptcot.errors import Stopped
from promptcot.executors import MemoryWorkplace
from promptcot.grading import Grader
from promptcot.intervals import wilson
from promptcot.models import fingerprint
from promptcot.outcomes import Drop, Verdict
from promptcot.recipe import Band, EngineSpec, Sample, SelfPlay, Training
from promptcot.records import Attempt, Grade, Label, PassRate, Problem, Question, Seed
from promptcot.roles import Role
from promptcot.sandbox.runners import chosen
from promptcot.self_play import Sources, Tally, choosing, fits
from promptcot.self_play.choosing import Tried
from promptcot.self_play.form import malformed
from promptcot.self_play.waves import Drawn, round_seed
from promptcot.templates import TAGGED
from promptcot.verify.verdicts import REJECTED
from tests.runs import script

BAND = Band()
VERDICTS = [v.value for v in Verdict]
KINDS = ["correct", "wrong", "undecided", "verifier_error"]
"""One verdict for each way to count: right, firmly wrong, a failure that is not firm, nothing."""


def question(name="q", **facts) -> Question:
    return Question(
        id=name.ljust(32, "0"), benchmark="labeled", name=name, problem=f"Lake {name}?", grading="answer", reference="7", **facts
    )


# the band


@given(
    st.lists(st.sampled_from(KINDS), max_size=6),
    st.integers(0, 4),
    st.booleans(),
    st.sampled_from([(1, 0.5), (2, 0.5), (1, 1.0), (2, 0.7)]),
)
@settings(max_examples=150, deadline=None)
def test_a_question_is_lost_exactly_when_no_outcome_of_the_rest_would_keep_it(drawn, rest, firm, wanted):
    band = Band(solved=wanted[0], below=wanted[1])
    outcomes = itertools.combinations_with_replacement(KINDS, rest)
    kept = any(Tally.of([*drawn, *more], 0).out(band, firm=firm) is None for more in outcomes)
    assert (Tally.of(drawn, rest).lost(band, firm=firm) is None) == kept


def early(table: list[str], wave: int, planned: int, *, firm: bool) -> Tally:
    """The tally of a question of these verdicts as waves leave it."""
    for end in range(0, planned, wave):
        if Tally.of(table[:end], planned - end).lost(BAND, firm=firm):
            return Tally.of(table[:end], planned - end)
    return Tally.of(table, 0)


@given(st.lists(st.sampled_from(VERDICTS), min_size=8, max_size=8), st.integers(1, 8), st.booleans())
@settings(max_examples=200, deadline=None)
def test_stopping_early_keeps_the_questions_that_all_draws_would_keep(table, wave, firm):
    """And those that are kept are drawn to the end, so what is trained on is the same too."""
    whole, stopped = Tally.of(table, 0), early(table, wave, 8, firm=firm)
    assert (stopped.lost(BAND, firm=firm) is None) == (whole.out(BAND, firm=firm) is None)
    assert stopped.rest == 0 or stopped.lost(BAND, firm=firm) is not None
    if whole.out(BAND, firm=firm) is None:
        assert stopped == whole


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=8), st.integers(0, 6))
@settings(max_examples=100, deadline=None)
def test_the_interval_of_a_censored_rate_holds_that_of_every_outcome(drawn, rest):
    censored = Tally.of(drawn, rest).rate
    for more in itertools.combinations_with_replacement(KINDS, rest):
        whole = Tally.of([*drawn, *more], 0)
        whole_rate = wilson(whole.solved, whole.counted)
        assert censored.low <= whole_rate.low + 1e-12
        assert whole_rate.high <= censored.high + 1e-12


@pytest.mark.parametrize("wave", [1, 2, 4])
@pytest.mark.parametrize("p", [0.3, 0.6, 0.9])
def test_sums_of_right_over_counted_attempts_are_no_higher_for_stopping_early_and_a_mean_of_shares_is(wave, p):
    """Exactly, over all outcomes of eight draws."""
    solved = counted = shares = 0.0
    for outcome in itertools.product([True, False], repeat=8):
        chance = math.prod(p if right else 1 - p for right in outcome)
        found = early(["correct" if right else "wrong" for right in outcome], wave, 8, firm=True)
        solved, counted, shares = solved + chance * found.solved, counted + chance * found.counted, shares + chance * found.rate.value
    assert solved / counted == pytest.approx(p)
    assert shares > p


def test_the_band_of_the_paper():
    """At least one right, fewer than half; the verifier's own faults are in no count."""
    reasons = [Tally(right, 8, 8 - right, 0).out(BAND, firm=True) for right in range(9)]
    assert reasons == [Drop.UNSOLVED, None, None, None, *[Drop.TOO_EASY] * 5]
    assert Tally.of(["verifier_error"] * 3, 0).out(BAND, firm=True) is Drop.UNGRADED
    assert Tally.of(["correct", "truncated", "undecided", "no_answer"], 0).out(BAND, firm=True) is Drop.NO_FIRM_FAILURE
    assert Tally.of(["correct", "truncated", "undecided", "no_answer"], 0).out(BAND, firm=False) is None
    assert Tally.of(["correct", "wrong", "wrong", "verifier_error"], 0).rate.value == pytest.approx(1 / 3)


# pairs


def tried(texts, verdicts, *, kept=True, why="", rate=0.25, grading="answer", opening="", license="") -> Tried:
    asked = replace(question(), grading=grading)
    attempts = [
        Attempt(id=f"a{n}".ljust(32, "0"), problem=asked.id, draw=n, text=text, ids=tuple(map(ord, text)), tokens=len(text) + 1)
        for n, text in enumerate(texts)
    ]
    facts = {"low": 0.0, "high": 1.0, "censored": False, "kept": kept, "why": why, "round": 1}
    row = PassRate(id="r" * 32, question=asked.id, solved=2, counted=8, planned=8, rate=rate, **facts)
    return Tried(asked, attempts, dict(enumerate(verdicts)), row, opening, license)


def kinds(rows):
    made = [row for row in rows if not hasattr(row, "reason")]
    return made, sorted(row.reason for row in rows if hasattr(row, "reason"))


def test_golden_pairs_of_a_fixed_table():
    """Eight attempts: three right ones of which two say the same, two firmly wrong, three that are neither."""
    texts = ["right one", "Right  ONE", "right two", "wrong one", "crash", "cut", "unclear", "silent"]
    verdicts = ["correct", "correct", "correct", "wrong", "program_error", "truncated", "undecided", "no_answer"]
    made, dropped = kinds(choosing.pairs(tried(texts, verdicts), SelfPlay(), seed=0))
    assert sorted((p.chosen, p.rejected) for p in made) == [("right one", "crash"), ("right two", "wrong one")]
    assert dropped == [Drop.EXACT_DUPLICATE]
    assert all(p.weight == 1.0 and p.round == 1 and "Lake q?" in p.prompt for p in made)
    assert made[0].chosen_ids == tuple(map(ord, made[0].chosen))
    assert len(kinds(choosing.pairs(tried(texts, verdicts), SelfPlay(pairs=1), seed=0))[0]) == 1


@given(st.lists(st.sampled_from(VERDICTS), min_size=1, max_size=10), st.integers(0, 5), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_pairs_hold_only_firm_verdicts_share_no_attempt_and_know_no_order(verdicts, seed, chance: random.Random):
    whole = tried([f"text {n}" for n in range(len(verdicts))], verdicts)
    made, _ = kinds(choosing.pairs(whole, SelfPlay(pairs=8), seed))
    by_id = {a.id: verdicts[a.draw] for a in whole.attempts}
    assert all(by_id[p.parents[1]] == "correct" and by_id[p.parents[2]] in REJECTED for p in made)
    used = [parent for p in made for parent in p.parents[1:]]
    assert len(used) == len(set(used))
    assert len(made) == min(verdicts.count("correct"), sum(v in REJECTED for v in verdicts))
    shuffled = list(whole.attempts)
    chance.shuffle(shuffled)
    assert choosing.pairs(replace(whole, attempts=shuffled), SelfPlay(pairs=8), seed) == choosing.pairs(whole, SelfPlay(pairs=8), seed)


def test_a_thought_that_the_server_keeps_apart_is_trained_on_with_its_answer():
    """As it goes on after the prompt: opened there or here. The ids of such an attempt are the answer's alone, so they are not used."""
    row = tried([r"\boxed{7}", r"\boxed{7}", r"\boxed{8}"], ["correct", "correct", "wrong"])
    thoughts = [replace(a, reasoning=f"thought {n}") for n, a in enumerate(row.attempts)]
    for opening, wanted in (("", "<think>\nthought 2\n</think>\n\n\\boxed{8}"), ("<think>\n", "thought 2\n</think>\n\n\\boxed{8}")):
        apart = replace(row, attempts=thoughts, opening=opening)
        made, dropped = kinds(choosing.pairs(apart, SelfPlay(form="think"), 0))
        assert (made[0].rejected, made[0].rejected_ids, dropped) == (wanted, (), [])
        right, _ = kinds(choosing.right(apart, SelfPlay(form="think", method="sft"), 0))
        assert len(right) == 2, "other thoughts, so another attempt"
        assert all("thought" in a.text and not a.ids for a in right)


def test_a_text_that_was_judged_both_ways_is_in_no_pair():
    """A program at its time limit passes now and then: chosen and rejected would be the same."""
    made, dropped = kinds(
        choosing.pairs(tried(["same", "same", "right", "wrong"], ["correct", "program_timeout", "correct", "wrong"]), SelfPlay(), 0)
    )
    assert [(p.chosen, p.rejected) for p in made] == [("right", "wrong")]
    assert dropped == [Drop.UNVERIFIED, Drop.UNVERIFIED]


def test_programs_that_differ_in_case_or_indentation_are_two():
    code = "```python\nif x:\n    print({})\n{}print(2)\n```"
    texts = [code.format("'a'", ""), code.format("'A'", ""), code.format("'a'", "    "), "no"]
    made, dropped = kinds(choosing.right(tried(texts, ["correct"] * 3 + ["wrong"], grading="tests"), SelfPlay(method="sft"), 0))
    assert (len(made), dropped) == (3, [])


def test_a_pair_is_licensed_like_its_question_and_the_solver():
    row = tried(["a", "b"], ["correct", "wrong"], license="Apache-2.0")
    row = replace(row, question=replace(row.question, license="MIT"))
    for make, options in ((choosing.pairs, {}), (choosing.right, {"method": "sft"})):
        assert {r.license for r in kinds(make(row, SelfPlay(**options), 0))[0]} == {"Apache-2.0 AND MIT"}


def test_an_attempt_that_the_limit_cut_is_in_no_pair_whatever_its_grade_says():
    row = tried(["right", "cut"], ["correct", "wrong"])
    cut = replace(row, attempts=[row.attempts[0], replace(row.attempts[1], verdict="truncated")])
    made, dropped = kinds(choosing.pairs(cut, SelfPlay(), 0))
    assert (made, dropped) == ([], [Drop.NO_PAIR])


def test_a_question_out_of_the_band_is_dropped_with_its_pass_rate():
    rows = choosing.pairs(tried(["a"], ["correct"], kept=False, why="too_easy"), SelfPlay(), 0)
    made, dropped = kinds(rows)
    assert (made, dropped) == ([], [Drop.TOO_EASY])
    assert json.loads(rows[0].content)["planned"] == 8  # type: ignore[attr-defined]


def test_learnability_weighs_by_p_times_one_minus_p():
    made, _ = kinds(choosing.pairs(tried(["a", "b"], ["correct", "wrong"]), SelfPlay(weigh="learnability"), 0))
    assert made[0].weight == pytest.approx(0.25 * 0.75)


@pytest.mark.parametrize(
    ("text", "grading", "wrong"),
    [
        (r"<think>2 and 2</think>It is \boxed{4}.", "answer", ""),
        (r"<think> </think>It is \boxed{4}.", "answer", "nothing in the thought"),
        ("<think>2 and 2</think> ", "answer", "nothing after the thought"),
        (r"It is \boxed{4}.", "answer", "0 <think>"),
        (r"<think>a</think><think>b</think>\boxed{4}", "answer", "2 <think>"),
        (r"</think>a<think>\boxed{4}", "answer", "before"),
        (r"Well, <think>a</think>\boxed{4}", "answer", "before"),
        (r"<think>\boxed{4}</think>It is four.", "answer", "no boxed answer"),
        ("<think>a</think>\n```python\nprint(1)\n```\n", "tests", ""),
        ("<think>a</think>\n```python\nprint(1)\n", "tests", "no program"),
        (r"<think>a</think>\boxed{4}", "tests", "no program"),
    ],
)
def test_a_well_formed_attempt_thinks_once_and_then_answers(text, grading, wrong):
    found = malformed(text, grading, "think")
    assert wrong in found
    assert bool(found) == bool(wrong)
    assert malformed(text, grading, "none") == ""


def test_a_thought_that_the_prompt_opens_counts_as_opened():
    assert malformed(r"2 and 2</think>\boxed{4}", "answer", "think", opened=True) == ""
    assert malformed(r"<think>2 and 2</think>\boxed{4}", "answer", "think", opened=True)


def test_malformed_attempts_are_counted_and_both_sides_are_held_to_the_form():
    good, bad = r"<think>a {}</think>\boxed{{{}}}", r"\boxed{{{}}}"
    texts = [good.format(1, 7), bad.format(7), good.format(2, 8), bad.format(9)]
    made, dropped = kinds(choosing.pairs(tried(texts, ["correct", "correct", "wrong", "wrong"]), SelfPlay(form="think"), 0))
    assert [(p.chosen, p.rejected) for p in made] == [(texts[0], texts[2])]
    assert dropped == [Drop.MALFORMED, Drop.MALFORMED]


def test_rejection_sampling_takes_right_attempts_alone():
    rows = choosing.right(tried(["a", "b", "c", "d"], ["correct", "correct", "undecided", "correct"]), SelfPlay(method="sft", right=2), 0)
    made, _ = kinds(rows)
    assert len(made) == 2
    assert {a.text for a in made} <= {"a", "b", "d"}
    assert {a.verdict for a in made} == {"correct"}


# questions


def problem(name, domain="math") -> Problem:
    facts = {"concepts": ("a",), "level": "easy", "rationale": "r", "content_hash": name}
    return Problem(id=name.ljust(32, "0"), domain=domain, problem=f"Lake {name}?", draw=0, tokens=1, log_p=-1.0, **facts)


def label(name, kind="vote", **facts) -> Label:
    return Label(id=f"l{name}".ljust(32, "0"), problem=name.ljust(32, "0"), kind=kind, license="CC0-1.0", **facts)


def seed(name, **facts) -> Seed:
    made = {"split": "train", "answer": "7"} | facts
    return Seed(id=name.ljust(32, "0"), family=name, content_hash=name, problem=f"Hill {name}?", **made)


def asked(sources, **options):
    return self_play.questions(MemoryWorkplace(), sources, SelfPlay(**options), seed=0)


def test_labels_say_how_a_question_is_graded_and_a_problem_without_one_is_dropped():
    tests = json.dumps([{"input": "1", "output": "1"}])
    labels = [label("a", answer="7"), label("b", "tests", tests=tests), label("gone", answer="1"), label("d", answer="3")]
    made = asked(Sources([problem("a"), problem("b", "code"), problem("c"), problem("d", "code")], labels, [], "x"))
    assert {(q.name[0], q.grading, q.reference, q.domain) for q in made.rows} == {
        ("a", "answer", "7", "math"),
        ("b", "tests", tests, "code"),
    }
    assert sorted(d.reason for d in made.drops) == [Drop.BAD_ROW, Drop.NO_LABEL, Drop.NO_LABEL]
    assert all(q.license == "CC0-1.0 AND none" and len(q.parents) == 2 for q in made.rows), "the problems state no license"
    assert not {q.id for q in made.rows} & {problem("a").id, problem("b").id}, "attempts must not be the draws that labeled the problem"


def test_the_wanted_share_of_human_problems_comes_from_the_training_seeds():
    sources = Sources([problem(f"p{n}") for n in range(6)], [label(f"p{n}", answer="7") for n in range(6)], [], "x")
    seeds = [seed(f"s{n}") for n in range(10)] + [seed("dev", split="dev"), seed("test", split="test"), seed("none", answer=None)]
    made = asked(replace(sources, seeds=seeds), human=0.25)
    assert sorted(q.benchmark for q in made.rows) == ["human"] * 2 + ["labeled"] * 6
    assert sorted(d.reason for d in made.drops) == [Drop.NO_LABEL] + [Drop.NOT_CHOSEN] * 8
    assert {q.benchmark for q in asked(replace(sources, seeds=seeds), human=1.0).rows} == {"human"}
    assert len(asked(replace(sources, seeds=seeds), human=0.0).rows) == 6
    turned = Sources(sources.problems[::-1], sources.labels[::-1], seeds[::-1], "x")
    assert asked(turned, human=0.25).rows == made.rows
    few = asked(replace(sources, seeds=seeds), human=0.25, rows=4)
    assert sorted(q.benchmark for q in few.rows) == ["human"] + ["labeled"] * 3, "the share is kept where there are fewer rows"


def test_procedural_tasks_give_questions_of_their_own():
    pytest.importorskip("reasoning_gym")
    made = asked(Sources([], [], [], "x"), tasks=["reasoning-gym:basic_arithmetic?size=3"])
    assert [q.grading for q in made.rows] == ["family"] * 3


# a round


REPLIES = [
    ("Abel", r"\boxed{{draw}}"),  # right in draw 7 alone
    ("Bede", r"\boxed{7}"),  # always right
    ("Cady", r"\boxed{8}"),  # never
]


def solver(folder, kind="scripted") -> Role:
    path = script(folder / "solver", *REPLIES, default="no idea {draw}")
    return Role("solver", path, fingerprint(path), EngineSpec(kind=kind), TAGGED)


def lakes(*names):
    rows = [question(name) for name in names]
    sources = Sources([problem(name) for name in names], [label(name, answer="7") for name in names], [], "x")
    return rows, asked(sources)


def played(folder, place, settings, *names, training=None):
    _, questions = lakes(*names)
    grader = Grader(settings, None, chosen(None))
    return self_play.play(place, questions, solver(folder), settings, training or Training(), grader, seed=0)


class Counting(MemoryWorkplace):
    """Remembers the rows that each step made."""

    def __init__(self):
        super().__init__()
        self.made: dict[str, list[object]] = {}

    def rows(self, spec, *args, **options):
        table = super().rows(spec, *args, **options)
        self.made[spec.name] = table.rows
        return table


PLAIN = {"sample": Sample(max_tokens=100), "method": "none"}


def test_a_round_draws_in_waves_and_pairs_what_is_in_the_band(tmp_path):
    place = Counting()
    [done] = played(tmp_path, place, SelfPlay(**PLAIN), "Abel", "Bede", "Cady", "Dunn")
    assert {step: len(rows) for step, rows in place.made.items()} == {
        "self_play/1/attempts-1": 16,
        "self_play/1/grades-1": 16,
        "self_play/1/attempts-2": 12,
        "self_play/1/grades-2": 12,
        "self_play/1/pass_rates": 4,
        "self_play/1/pairs": 1,
    }
    rates = {r.question: r for r in done.rates.rows}
    names = {q.id: q.name[:4] for q in done.questions.rows}
    found = {names[id_]: (r.solved, r.counted, r.censored, r.kept, r.why) for id_, r in rates.items()}
    assert found == {
        "Abel": (1, 8, False, True, ""),
        "Bede": (4, 4, True, False, "too_easy"),
        "Cady": (0, 8, False, False, "unsolved"),
        "Dunn": (0, 8, False, False, "unsolved"),
    }
    [pair] = done.chosen.rows
    assert pair.chosen == r"\boxed{7}"
    assert sorted(d.reason for d in done.chosen.drops) == ["too_easy", "unsolved", "unsolved"]
    assert "4 questions, 0 of them human; 1 in the band, 1 not drawn to the end; 1 pairs (0% from human problems)" in str(done)


@pytest.mark.parametrize("wave", [1, 3])
def test_the_size_of_a_wave_changes_no_pair(tmp_path, wave):
    whole = played(tmp_path, MemoryWorkplace(), SelfPlay(**PLAIN, wave=8), "Abel", "Bede", "Cady")
    small = played(tmp_path, MemoryWorkplace(), SelfPlay(**PLAIN, wave=wave), "Cady", "Bede", "Abel")
    assert small[0].chosen.rows == whole[0].chosen.rows


@pytest.mark.parametrize("table", range(4))
def test_whole_rounds_over_random_verdicts_pair_the_same_however_early_they_stop(tmp_path, monkeypatch, table):
    """And stopping saves draws: the verdict of a draw is fixed by its question and number."""
    names = list("abcdefghijkl")

    def verdict(problem: str, number: int) -> str:
        chance = random.Random(f"{table} {problem} {number // 2 if table % 2 else number}")
        return chance.choice([*VERDICTS, *["correct"] * 5])

    monkeypatch.setattr(Grader, "grade", lambda self, q, a: [graded_as(q, x, verdict(q.problem, x.draw)) for x in a])
    whole = played(tmp_path, place := Counting(), SelfPlay(**PLAIN, wave=8), *names)
    for wave in (1, 2, 3):
        stopped = played(tmp_path, early_place := Counting(), SelfPlay(**PLAIN, wave=wave), *names)
        assert stopped[0].chosen.rows == whole[0].chosen.rows
        assert [r.question for r in stopped[0].rates.rows if r.kept] == [r.question for r in whole[0].rates.rows if r.kept]
        assert draws_in(place) == 12 * 8
        assert draws_in(early_place) < 12 * 8 if wave == 1 else draws_in(early_place) <= 12 * 8


def graded_as(asked, attempt, verdict) -> Grade:
    return Grade(id=f"g{attempt.id}", parents=(asked.id, attempt.id), question=asked.id, draw=attempt.draw, verdict=verdict)


def draws_in(place) -> int:
    return sum(len(rows) for step, rows in place.made.items() if "attempts" in step)


def test_a_verifiers_own_error_is_in_no_count(tmp_path, monkeypatch):
    real = Grader.grade

    def failing(self, asked, attempts):
        return [replace(g, verdict="verifier_error") if g.draw in (0, 1) else g for g in real(self, asked, attempts)]

    monkeypatch.setattr(Grader, "grade", failing)
    [done] = played(tmp_path, MemoryWorkplace(), SelfPlay(**PLAIN), "Abel")
    [rate] = done.rates.rows
    assert (rate.solved, rate.counted, rate.planned, rate.kept) == (1, 6, 8, True)
    monkeypatch.setattr(Grader, "grade", lambda self, q, a: [replace(g, verdict="verifier_error") for g in real(self, q, a)])
    [done] = played(tmp_path, MemoryWorkplace(), SelfPlay(**PLAIN), "Abel")
    assert math.isnan(done.rates.rows[0].rate)
    assert [d.reason for d in done.chosen.drops] == [Drop.UNGRADED]


def test_rounds_draw_by_seeds_of_their_own():
    assert len({round_seed(0, 1), round_seed(0, 2), round_seed(1, 1)}) == 3


def test_what_could_never_be_is_refused():
    with pytest.raises(ValidationError, match="in the band"):
        SelfPlay(attempts=2)
    with pytest.raises(ValidationError, match="trains nothing"):
        SelfPlay(method="none", rounds=2)


# fits


class Fitted:
    """Stands for the fit on pairs: remembers what it was given, and gives the solver a new name for its weights."""

    def __init__(self):
        self.calls = []

    def __call__(self, place, name, start, pairs, settings, beta, training, *, seed):
        self.calls.append((name, start.fingerprint, pairs, beta))
        return replace(start, fingerprint=f"{start.fingerprint}+")


def test_each_round_is_drawn_from_the_newest_solver_and_fitted_on_the_ids_it_drew(tmp_path, monkeypatch):
    fitted = Fitted()
    monkeypatch.setattr(fits, "fit_on_pairs", fitted)
    done = played(tmp_path, MemoryWorkplace(), SelfPlay(rounds=2, sample=Sample(max_tokens=100)), "Abel", "Bede")
    assert [name for name, *_ in fitted.calls] == ["self_play/1/solver", "self_play/2/solver"]
    assert fitted.calls[1][1] == done[0].solver.fingerprint
    assert done[1].solver.fingerprint.endswith("++")
    [pair], [tokens] = done[0].chosen.rows, fitted.calls[0][2]
    assert tokens.chosen.segments == ((*pair.chosen_ids, 0),)
    assert tokens.rejected.segments == ((*pair.rejected_ids, 0),)
    assert tokens.chosen.prefix == tokens.rejected.prefix == tuple(map(ord, pair.prompt))
    assert fitted.calls[0][3] == 0.1


def test_nothing_to_train_on_stops_the_first_round(tmp_path):
    with pytest.raises(Stopped, match="nothing to train on"):
        played(tmp_path, MemoryWorkplace(), SelfPlay(sample=Sample(max_tokens=100)), "Bede", "Cady")


def test_drawn_failures_of_the_server_are_no_attempts():
    made = Drawn()
    made.asked["q"] = 8
    made.grades["q"] = [Grade(id="g", question="q", draw=n, verdict="wrong") for n in range(5)]
    assert made.tally("q", 8) == Tally(0, 5, 5, 0)
