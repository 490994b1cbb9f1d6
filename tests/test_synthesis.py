"""Synthesis: every completion of p is a problem or a drop that names what it was asked."""

import json

from hypothesis import given
from hypothesis import strategies as st

from promptcot.engines.protocol import Completion
from promptcot.executors import MemoryWorkplace
from promptcot.models import fingerprint
from promptcot.outcomes import Drop, Finish, Split
from promptcot.recipe import EngineSpec, Sample, Synthesize
from promptcot.records import ConceptSet, Dropped, Problem, Triple
from promptcot.roles import Role
from promptcot.synthesis import concept_sets, problems, to_problem
from promptcot.templates import TAGGED
from tests.runs import NO_REPLY, PROBLEM, RATIONALE, REPLY, script

SET = ConceptSet(id="c" * 32, domain="code", concepts=("ratios", "tides"), level="AIME", source="mine", license="CC-BY-4.0")


def generator(folder, *replies, default=REPLY, license="Apache-2.0") -> Role:
    path = script(folder / "model", *replies, default=default)
    return Role("generator", path, fingerprint(path), EngineSpec(kind="scripted"), TAGGED, license)


def completion(text=REPLY, finish=Finish.STOP, draw=3) -> Completion:
    return Completion(draw, tuple(map(ord, text)), text, -12.5, len(text), finish)


def write(role, sets, passes=1, max_tokens=2000, seed=0):
    return problems(
        MemoryWorkplace(), "synthesize/problems", role, sets, "d", sample=Sample(max_tokens=max_tokens), passes=passes, seed=seed
    )


def test_a_problem_carries_what_made_it(tmp_path):
    role = generator(tmp_path)
    made = to_problem(role, SET, completion())
    assert isinstance(made, Problem)
    assert made.parents == (SET.id,)
    assert (made.concepts, made.level, made.domain, made.source) == (SET.concepts, "AIME", "code", "mine")
    assert (made.rationale, made.problem, made.draw) == (RATIONALE, PROBLEM, 3)
    assert (made.log_p, made.tokens, made.generator) == (-12.5, len(REPLY), role.fingerprint)
    assert made.license == "Apache-2.0"


def test_a_model_without_a_license_hands_on_that_of_the_row(tmp_path):
    assert to_problem(generator(tmp_path, license=""), SET, completion()).license == "CC-BY-4.0"


def test_a_drop_keeps_the_text_and_what_it_was_asked(tmp_path):
    gone = to_problem(generator(tmp_path), SET, completion(NO_REPLY))
    assert isinstance(gone, Dropped)
    assert gone.reason == Drop.UNPARSABLE
    assert gone.parents == (SET.id,)
    raw = json.loads(gone.content)
    assert (raw["completion"], raw["concepts"], raw["level"]) == (NO_REPLY, list(SET.concepts), "AIME")


def test_a_cut_completion_is_dropped_even_if_it_would_parse(tmp_path):
    gone = to_problem(generator(tmp_path), SET, completion(finish=Finish.LENGTH))
    assert isinstance(gone, Dropped)
    assert gone.reason == Drop.TRUNCATED


@given(st.text(max_size=30), st.integers(0, 5))
def test_ids_tell_draws_and_texts_apart(text, draw):
    role = Role("generator", None, "f", EngineSpec(kind="scripted"), TAGGED)  # type: ignore[arg-type]
    one = to_problem(role, SET, completion(text, draw=draw))
    assert one.id == to_problem(role, SET, completion(text, draw=draw)).id
    assert one.id != to_problem(role, SET, completion(text, draw=draw + 1)).id
    assert one.id != to_problem(role, SET, completion(text + "!", draw=draw)).id


def test_every_pass_over_every_set_becomes_a_row(tmp_path):
    sets = [ConceptSet(id=f"{n:032}", concepts=(f"concept {n}", "tides"), level="AIME") for n in range(7)]
    table = write(generator(tmp_path, ("concept 2\n", NO_REPLY)), sets, passes=3)
    rows, drops = table.rows, table.drops
    assert sorted((row.parents[0], row.draw) for row in rows) == [(s.id, d) for s in sets if s is not sets[2] for d in range(3)]
    assert {(row.reason, row.parents) for row in drops} == {("unparsable", (sets[2].id,))}
    assert len({row.id for row in [*rows, *drops]}) == 21


def test_what_is_longer_than_allowed_is_truncated_not_parsed(tmp_path):
    assert {row.reason for row in write(generator(tmp_path), [SET], max_tokens=20).drops} == {"truncated"}


# concept sets


class Letters:
    """Embeds a text as its letter counts: deterministic, and alike texts are near."""

    def embed(self, texts):
        import numpy as np

        raw = np.array([[text.count(letter) + 0.1 for letter in "abcdefgh"] for text in texts], dtype=np.float32)
        return raw / np.linalg.norm(raw, axis=1, keepdims=True)


def triples():
    splits = [Split.TRAIN, Split.TRAIN, Split.TRAIN, Split.DEV, Split.TEST]
    return [
        Triple(
            id=f"{n:032}",
            family=str(n),
            domain="code",
            concepts=("ab"[n % 2] * 2, "cde"[n % 3] * 2, "fgh"[n // 6 % 3] * 2),
            level=("AMC8", "AIME")[n % 2],
            rationale="z",
            problem="x",
            split=splits[n % 5],
        )
        for n in range(30)
    ]


def sampled(settings, seed=0):
    return concept_sets(MemoryWorkplace(), triples(), "t", Letters(), "e", settings, seed=seed).rows


def test_sampled_sets_are_distinct_concepts_of_training_triples_and_never_a_held_out_set():
    train = {c for t in triples() if t.split == "train" for c in t.concepts}
    held_out = {frozenset(t.concepts) for t in triples() if t.split != "train"}
    rows = sampled(Synthesize(concept_sets=40, concepts=3, temperature=5.0))
    assert len(rows) == 40
    for row in rows:
        assert len(set(row.concepts)) == 3
        assert set(row.concepts) <= train
        assert frozenset(row.concepts) not in held_out
        assert row.domain == "code"
    assert len({row.id for row in rows}) == 40


def test_levels_come_from_the_recipe_or_from_the_training_triples():
    assert {row.level for row in sampled(Synthesize(concept_sets=30))} == {"AMC8", "AIME"}
    assert {row.level for row in sampled(Synthesize(concept_sets=30, levels=["HMMT"]))} == {"HMMT"}


def test_the_seed_decides_the_sets():
    settings = Synthesize(concept_sets=20, temperature=2.0)
    assert sampled(settings) == sampled(settings)
    assert sampled(settings) != sampled(settings, seed=1)
