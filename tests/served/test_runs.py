"""Whole steps and runs on served models: EM by both models, annotation by a hosted one, and what a kill costs."""

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from promptcot import em, estep, heldout
from promptcot.errors import MissingHere, Stopped, UsageError
from promptcot.executors import LocalWorkplace, MemoryWorkplace
from promptcot.heldout import Pair
from promptcot.metering import spent
from promptcot.outcomes import Drop
from promptcot.recipe import Bound, Em, EngineSpec, Recipe
from promptcot.recipes import load
from promptcot.roles import resolve
from promptcot.running import run_recipe
from promptcot.store import Run
from promptcot.triples import Pool
from promptcot.usage import total
from tests import runs, toy
from tests.served.server import Habits, mix


def by_path(pair, *servers, **settings):
    """The pair behind servers that load models by path."""
    spec = EngineSpec(kind="openai", urls=[s.url for s in servers], model="{path}", retries=20, **settings)
    return Pair(replace(pair.generator, engine=spec), replace(pair.posterior, engine=spec))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    from promptcot.engines.openai import engine
    from tests.served.conftest import QUICK

    monkeypatch.setattr(engine.OpenAIEngine.__init__, "__defaults__", (QUICK,))


@pytest.mark.slow
def test_a_round_of_em_with_served_models(serve, pair, tmp_path):
    """p and q behind servers with faults, fitted by tables: the round improves p like one whose engine is in the process."""
    server = serve({}, by_path=True, plan=mix(3, 0.05, ["429", "reset", "empty", "nan", "truncated", "500"]))
    setting = toy.setting(Em(rounds=1, candidates=8, ess=0, data="all", bound=Bound(k=[1, 4]), check=8))
    start, pool, dev = by_path(pair, server), toy.annotated(toy.triples(2)), toy.renamed(toy.triples(None), "dev")
    served = em.run(MemoryWorkplace(tmp_path / "served"), start, pool, dev, setting)
    local = em.run(MemoryWorkplace(tmp_path / "local"), pair, pool, dev, setting)
    health, wanted = served.rounds[0].health, local.rounds[0].health
    assert health.log_q_gap == pytest.approx(0, abs=1e-9)
    assert health.valid_share[0] == 1.0
    assert health.dev == wanted.dev == 12
    assert toy.log_likelihood(served.rounds[0].pair.generator) == pytest.approx(-1.3039, abs=0.02)
    assert toy.log_likelihood(local.rounds[0].pair.generator) == pytest.approx(-1.3039, abs=0.02)
    assert {e.body["model"] for e in server.entries()} > {str(pair.generator.path.resolve()), str(pair.posterior.path.resolve())}


def test_what_servers_bill_is_what_the_manifests_say(serve, pair, tmp_path):
    """Every step of a round: draws, scores, held-out comparisons, probes and first tries, useless replies included."""
    server = serve({}, by_path=True, plan=mix(3, 0.05, ["429", "reset", "empty", "nan", "500"]))
    setting = toy.setting(Em(rounds=1, candidates=4, bound=Bound(k=[1, 2]), check=0))  # a check is scored here, too
    place = LocalWorkplace(Run.create(tmp_path / "run", {}))
    start = by_path(pair, server, usd_per_million_in=1e6, usd_per_million_out=2e6)
    em.run(place, start, toy.triples(), toy.renamed(toy.triples(None), "dev"), setting)
    used = total(spent(place.run).values())
    assert (used.tokens_in, used.tokens_out) == server.billed()
    assert used.requests >= len(server.entries())  # beside them lists of models, where a server had been taken out
    assert used.usd == pytest.approx(used.tokens_in + 2 * used.tokens_out)
    assert used.tokens_trained > 0


def test_log_q_that_a_server_keeps_to_itself_is_scored(serve, pair, tmp_path):
    """llama.cpp tells ids and log-probabilities without the end of sequence; here none are told at all."""
    server = serve({}, Habits(tells_ids="no"), by_path=True)
    setting = toy.setting(Em(rounds=1, candidates=4, bound=Bound(k=[1, 2]), check=0))
    result = em.run(MemoryWorkplace(tmp_path), by_path(pair, server), toy.triples(), toy.renamed(toy.triples(None), "dev"), setting)
    assert result.rounds[0].health.dev == 12
    assert result.rounds[0].health.ess > 1


@pytest.mark.parametrize("habits", [Habits(scoring="none"), Habits(ids="refused")])
def test_em_refuses_a_server_that_cannot_score_before_it_samples(serve, pair, tmp_path, habits):
    server = serve({}, habits, by_path=True)
    place = LocalWorkplace(Run.create(tmp_path / "run", {}))
    with pytest.raises(MissingHere, match="cannot score"):
        em.run(place, by_path(pair, server), toy.annotated(toy.triples()), toy.renamed(toy.triples(None), "dev"), toy.setting(Em(rounds=1)))
    assert all(e.body.get("max_tokens") == 1 for e in server.entries())  # first tries only


def test_what_is_to_be_fitted_must_reach_its_server(serve, pair, tmp_path):
    server = serve({"p": pair.generator.path})
    spec = EngineSpec(kind="openai", urls=[server.url])
    start = Pair(replace(pair.generator, engine=spec), replace(pair.posterior, engine=spec))
    with pytest.raises(UsageError, match="old weights"):
        em.run(MemoryWorkplace(tmp_path), start, toy.triples(), toy.renamed(toy.triples(None), "dev"), toy.setting(Em(rounds=1)))
    assert not server.entries()


def test_where_a_model_is_served_is_no_part_of_its_identity(tmp_path, pair):
    def role(path="some/model", revision=None, **engine):
        spec = {"kind": "openai", "urls": ["http://a/v1"], **engine}
        content = {"schema": 1, "name": "n", "inputs": {}, "engines": {"e": spec}}
        return resolve(Recipe.model_validate({**content, "models": {"m": {"path": str(path), "revision": revision, "engine": "e"}}}), "m")

    same = {
        "urls": ["http://b/v1", "http://c/v1"],
        "key_env": "K",
        "concurrency": 3,
        "requests_per_minute": 4,
        "timeout_s": 5,
        "retries": 6,
    }
    assert role().digest == role(**same, usd_per_million_in=7, usd_per_million_out=8, scoring="echo").digest
    others = [role("some/other"), role(revision="r2"), role(model="m2"), role(endpoint="chat"), role(pair.generator.path)]
    assert len({r.digest for r in [role(), *others]}) == 1 + len(others)
    assert role().fingerprint == "served:some/model@"
    assert role(pair.generator.path).fingerprint == pair.generator.fingerprint


def test_an_answer_that_never_came_is_not_held_against_q(serve, pair, tmp_path):
    """Failed draws are `failed`, not invalid writing: the share of valid draws and the bound are of the others."""
    server = serve({}, by_path=True, plan=lambda number, body: "empty" if number > 5 and body.get("seed", 0) % 11 == 0 else None)
    spec = EngineSpec(kind="openai", urls=[server.url], model="{path}", retries=0)
    posterior = replace(pair.posterior, engine=spec)
    place, pool = MemoryWorkplace(tmp_path), toy.triples()
    draws = estep.draw(place, "draws", posterior, pool, Em(candidates=8), round=1, seed=0).rows
    failed = [d for d in draws if d.invalid == Drop.FAILED]
    assert len(draws) == 8 * len(pool.rows)
    assert 0 < len(failed) < len(draws) / 5
    assert all(d.invalid is None for d in draws if d not in failed)
    stratum = heldout.stratum(place, "bound", posterior, pool, 2, 8, 0)
    assert set(stratum.log_valid.values()) == {0.0}
    assert {len(rows) for rows in stratum.draws.values()} == {2}


def test_a_journal_spares_what_was_answered_and_only_that(serve, pair, tmp_path):
    """A step that stops in the middle of a shard asks again for what it had no answer to, and for items that have changed."""
    server = serve({}, by_path=True, plan=lambda number, body: "empty" if number > 22 else None)
    spec = EngineSpec(kind="openai", urls=[server.url], model="{path}", retries=0, concurrency=1)
    posterior, pool, setting = replace(pair.posterior, engine=spec), toy.triples(), Em(candidates=2)
    place = LocalWorkplace(Run.create(tmp_path / "run", {}))
    with pytest.raises(Stopped):
        estep.draw(place, "draws", posterior, pool, setting, round=1, seed=0)
    lines = [line for path in (tmp_path / "run").rglob("journal-*.jsonl") for line in path.read_text().splitlines()]
    committed = sum(pq.read_table(path)["invalid"].null_count for path in (tmp_path / "run").rglob("part-*.parquet"))
    assert lines
    known = committed + 2 * (len(lines) - 1)
    rows = list(pool.rows)
    rows[8] = replace(rows[8], id="another")
    pool = Pool(tuple(rows), pool.digest)
    server.plan = lambda number, body: None
    before = len(server.entries())
    table = estep.draw(place, "draws", posterior, pool, setting, round=1, seed=0)
    assert len(table.rows) == 2 * len(pool.rows)
    assert len(server.entries()) - before == 2 * len(pool.rows) - known + 1  # and one to see what the server can do
    assert not list((tmp_path / "run").rglob("journal-*.jsonl"))


def synthesis(folder: Path, server, *, sets=60, **settings) -> Path:
    """A recipe that synthesizes with a served model of canned replies."""
    talker = runs.script(folder / "talker")
    server.folders = {"talker": talker}
    return runs.recipe(
        folder,
        engines={"default": {"kind": "openai", "urls": [server.url], "concurrency": 4, "shard_rows": 1000, **settings}},
        models={"generator": {"path": str(talker)}},
        inputs={"concept_sets": [str(runs.concept_sets(folder / "sets.jsonl", sets))]},
        synthesize={"concept_sets": sets, "passes": 1, "sample": {"max_tokens": 2000}},
        screen=None,
    )


def draws(server, since=0):
    return [e for e in server.entries()[since:] if e.body.get("max_tokens") == 2000]


def until(condition, process):
    for _ in range(3000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("it did not come so far")


@pytest.mark.slow
def test_killed_in_the_middle_of_a_shard_a_run_asks_only_for_what_is_unanswered(serve, tmp_path):
    server = serve({}, plan=lambda number, body: "slow")
    recipe, run = synthesis(tmp_path, server), tmp_path / "run"
    process = runs.process("run", recipe, "--run", run)
    until(lambda: len(draws(server)) >= 30, process)
    process.kill()
    process.communicate()
    (journal,) = run.rglob("journal-*.jsonl")
    known = {json.loads(line.partition(" ")[2])[0] for line in journal.read_text().splitlines(keepends=True) if line.endswith("\n")}
    asked = len(draws(server))
    assert 20 <= len(known) < 60
    assert not list((run / "synthesize" / "problems").rglob("part-*.parquet"))
    seen = len(server.entries())
    again = runs.process("run", run)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err
    assert len(draws(server, seen)) == 60 - len(known)
    assert len(draws(server)) <= 60 + asked - len(known)
    first, second = ({e.key for e in part} for part in (draws(server)[:asked], draws(server, seen)))
    assert len(first | second) == 60
    assert len(first & second) <= 8  # what was on its way, or had come and was not yet noted
    used, billed = spent(Run.open(run))["synthesize/problems"].tokens_out, server.billed()[1]
    assert used <= billed
    assert used >= billed - 8 * max(e.billed[1] for e in draws(server)), "what was answered before the kill is accounted for"
    (part,) = (run / "synthesize" / "problems").rglob("part-*.parquet")
    assert len(set(pq.read_table(part).column("id").to_pylist())) == 60


@pytest.mark.slow
def test_on_sigterm_a_run_leaves_with_what_it_has(serve, tmp_path):
    server = serve({}, plan=lambda number, body: "slow")
    recipe, run = synthesis(tmp_path, server, sets=200), tmp_path / "run"
    process = runs.process("run", recipe, "--run", run)
    until(lambda: len(draws(server)) >= 20, process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, out + err
    asked = len(draws(server))
    assert asked < 200
    again = runs.process("run", run)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err
    assert len(draws(server)) == 200  # what was on its way had been waited for


def test_a_run_stops_at_its_dollars_and_pays_for_nothing_twice(serve, tmp_path):
    """Whole shards, no request once the limit is reached, and the rest of them when it is raised."""
    server = serve({})
    recipe = synthesis(tmp_path, server, shard_rows=10, usd_per_million_in=1e6, usd_per_million_out=1e6)

    def run(usd: float) -> float:
        loaded = load(recipe, [f"budget.usd={usd}"])
        folder = Run.create(tmp_path / "run", loaded.model_dump(mode="json", by_alias=True))
        try:
            run_recipe(loaded, folder, until="synthesize")
        finally:
            spent_usd = total(spent(folder).values()).usd
        return spent_usd

    with pytest.raises(Stopped) as stopped:
        run(1000)
    assert stopped.value.exit_code == 4
    assert stopped.value.where == "budget.usd"
    asked = len(server.entries())
    assert 10 <= len(draws(server)) < 60
    assert len(draws(server)) % 10 == 0
    with pytest.raises(Stopped, match="used up"):
        run(1000)
    assert len(server.entries()) == asked
    assert run(1e9) == pytest.approx(sum(server.billed()))
    assert len(draws(server)) == 60


def test_a_hosted_model_annotates_and_its_key_is_nowhere(serve, tmp_path, monkeypatch):
    """A chat model without a folder here, behind a key; nothing that the run writes or says holds the key."""
    key = "sk-this-is-very-secret"
    monkeypatch.setenv("HOSTED_KEY", key)
    plan = mix(5, 0.2, ["429", "500", "reset", "truncated", "empty", "not_json"])
    server = serve({}, Habits(key=key, strict=True, thinks=True), plan=plan)
    concepts = '```python\n["addition", "equal groups", "counting", "units", "whole numbers"]\n```'
    told = ("problem design", "The order of the two steps is the point.")
    server.folders = {"hosted/chat": runs.script(tmp_path / "hosted", told, default=concepts)}
    seeds = [{"problem": f"Tom has {n} boats and buys {n + 2} more of them. How many boats has he now?"} for n in range(40)]
    recipe = {
        "schema": 1,
        "name": "hosted",
        "engines": {"hosted": {"kind": "openai", "urls": [server.url], "key_env": "HOSTED_KEY", "concurrency": 8, "retries": 20}},
        "models": {"annotator": {"path": "hosted/chat", "engine": "hosted"}},
        "inputs": {"seeds": [{"path": str(runs.jsonl(tmp_path / "seeds.jsonl", seeds)), "source": "us", "license": "CC0-1.0"}]},
        "annotate": {"annotators": [{"model": "annotator"}], "retries": 1},
    }
    path = tmp_path / "hosted.yaml"
    path.write_text(yaml.safe_dump(recipe))
    said: list[str] = []
    run = Run.create(tmp_path / "run", load(path).model_dump(mode="json", by_alias=True))
    session = run_recipe(load(path), run, until="annotate", say=said.append)
    triples = session.triples.rows
    assert {t.parents for t in triples} == {(s.id,) for s in session.seeds.rows}
    assert len(triples) == 40
    assert {t.rationale for t in triples} == {"The order of the two steps is the point."}
    assert len(server.entries(answered=True)) == 80 + 1  # each seed's two questions once, and a first try
    answered = len(server.entries())
    run_recipe(load(path), run, until="annotate")
    assert len(server.entries()) == answered
    written = [p for p in (tmp_path / "run").rglob("*") if p.is_file()]
    assert written
    assert not [p for p in written if key.encode() in p.read_bytes()]
    assert not any(key in text for text in said)
    assert key in os.environ["HOSTED_KEY"]
