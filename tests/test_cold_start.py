"""The ablation without cold start: annotated triples in the prompt of models as they are."""

from dataclasses import replace

import pytest

from promptcot import em
from promptcot.cold_start import cold_start, shots
from promptcot.engines.scripted import CharacterTokenizer
from promptcot.errors import UsageError
from promptcot.executors import Artifact, MemoryWorkplace
from promptcot.heldout import Pair
from promptcot.recipe import ColdStart, Em, Training
from promptcot.records import Triple
from promptcot.segments import Segmenter
from promptcot.triples import Pool
from tests import toy


def triples(count, *, annotated=True):
    return [
        Triple(id=f"{n}", family=f"f{n // 2}", concepts=("c",), level="l", rationale=f"z{n}" if annotated else None, problem=f"x{n}")
        for n in range(count)
    ]


def test_shots_fit_nothing_and_come_from_different_families(tmp_path):
    place, start = MemoryWorkplace(tmp_path / "work"), toy.pair(tmp_path)
    rows = (*triples(8), *triples(3, annotated=False))
    p, q = cold_start(place, start.generator, start.posterior, Pool(rows, "a"), ColdStart(shots=3), Training(), seed=0)
    assert p == replace(start.generator, shots=p.shots)
    assert q == replace(start.posterior, shots=p.shots)
    assert [shot.problem for shot in p.shots] == ["x0", "x2", "x4"]
    assert not (tmp_path / "work").exists()


def test_too_few_annotated_families_are_named():
    with pytest.raises(UsageError, match="only 2 families"):
        shots([*triples(4), *triples(9, annotated=False)], 3)


def test_what_is_shown_is_what_a_fit_would_see(tmp_path):
    bare, shown = Segmenter(CharacterTokenizer()), triples(4)
    segmenter, row = bare.showing(shown[:2]), shown[3]
    decoded = bare.tokenizer.decode(segmenter.generator(row, bare.rationale("z")).prefix)
    for shot in shown[:2]:
        tokens = bare.generator(shot, bare.rationale(shot.rationale))
        assert bare.tokenizer.decode((*tokens.prefix, *tokens.segments[0], *tokens.segments[1])) in decoded
    assert decoded.endswith(bare.tokenizer.decode(bare.generator_prefix(row)))
    assert segmenter.posterior_prefix(row)[-len(bare.posterior_prefix(row)) :] == bare.posterior_prefix(row)
    assert segmenter.generator(row, bare.rationale("z")).segments == bare.generator(row, bare.rationale("z")).segments


def test_examples_are_part_of_what_a_role_is_until_it_is_fitted(tmp_path):
    role = toy.pair(tmp_path).generator
    shown = replace(role, shots=tuple(triples(2)))
    assert len({role.digest, shown.digest, replace(role, shots=tuple(triples(1))).digest}) == 3
    assert shown.fitted(Artifact(tmp_path, "weights", {})).shots == ()


def test_the_words_of_the_template_are_part_of_what_a_role_is(tmp_path):
    role = toy.pair(tmp_path).generator
    assert role.digest != replace(role, template=replace(role.template, concepts_heading="Given:")).digest


def test_what_em_fits_does_not_see_the_examples_that_its_first_draws_were_made_with(tmp_path):
    """A fitted model is used without examples, so it is fitted without: every concept's law follows its own problems."""
    place, start = MemoryWorkplace(tmp_path / "work"), toy.pair(tmp_path)
    shown = replace(toy.triples(None).rows[0], rationale="z0")
    begin = Pair(replace(start.generator, shots=(shown,)), replace(start.posterior, shots=(shown,)))
    (done,) = em.run(place, begin, toy.triples(1), Pool((), "dev"), toy.setting(Em(rounds=1, candidates=2))).rounds
    before, after = toy.tables(start.generator)["z_given_c"], toy.tables(done.pair.generator)["z_given_c"]
    assert done.pair.generator.shots == ()
    assert (abs(after - before).max(axis=1) > 0).all()
