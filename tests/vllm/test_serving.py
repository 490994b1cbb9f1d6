"""Scores and draws of a real server, and a round of EM on real servers that die."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import promptcot
from promptcot import handover
from promptcot.annotate import from_source
from promptcot.engines import open_engine
from promptcot.engines.protocol import FitExample, SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.engines.vllm.fleet import FLEET
from promptcot.recipe import EngineSpec, Fit, Input, Training
from promptcot.seeds import read_seeds
from promptcot.segments import Segmenter
from promptcot.training import fit
from tests import runs

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(1800)]

SERVED = {"kind": "vllm", "max_len": 1024, "gpu_memory": 0.15}


@pytest.fixture(scope="module")
def triples():
    found = read_seeds([Input(path="builtin:starter", rows=32)], domain="math", seed=0).rows
    return [from_source(seed) for seed in found if seed.rationale]


def test_a_server_scores_as_transformers_does_and_draws_what_it_scores(folder, triples):
    """In fp32. Long prompts beside one another, each with a seed: what kills a CPU server that reads prompts in chunks."""
    spec = EngineSpec(**SERVED, dtype="fp32", concurrency=64)
    with open_engine(folder, EngineSpec(dtype="fp32", device="cpu")) as here:
        segmenter = Segmenter(here.tokenizer)
        given = [ScoreRequest(t.id, segmenter.generator(t, segmenter.rationale(t.rationale))) for t in triples[:8]]
        wanted = {s.id: sum(s.log_p) for s in here.score(given)}
    prefixes = {t.id: segmenter.posterior_prefix(t) for t in triples}
    try:
        with open_engine(folder, spec) as served:
            found = {s.id: sum(s.log_p) for s in served.score(given)}
            asked = [SampleRequest(t.id, prefixes[t.id]) for t in triples]
            drawn = list(served.sample(asked, Sampling(max_tokens=8), 0))
            draws = {f"{reply.id}:{c.draw}": (reply.id, c) for reply in drawn for c in reply.completions}
            assert len(draws) == len(triples)
            assert not [c.error for _, c in draws.values() if c.error]
            some = {key: draws[key] for key in sorted(draws)[:8]}
            ended = {key: c.ids + ((served.tokenizer.eos,) if c.finish == "stop" else ()) for key, (_, c) in some.items()}
            again = served.score(ScoreRequest(key, Tokens(prefixes[row], (ended[key],))) for key, (row, _) in some.items())
            gaps = [s.log_p[0] - some[s.id][1].log_p for s in again]
    finally:
        FLEET.close()
    tokens = np.mean([sum(map(len, r.tokens.segments)) for r in given])
    gap = np.sqrt(np.mean([(found[key] - wanted[key]) ** 2 for key in wanted]))
    assert 0 < gap < handover.NOISE["fp32"] * np.sqrt(tokens)
    assert np.abs(gaps).max() < 1e-3
    assert len({c.ids for _, c in draws.values()}) >= len(triples) // 2


@pytest.fixture(scope="module")
def start(folder, triples, tmp_path_factory) -> Path:
    """One model for p and q that writes in their tags."""
    with open_engine(folder, EngineSpec(kind="vllm")) as engine:
        segmenter = Segmenter(engine.tokenizer)
    shown = sorted(triples, key=lambda t: len(t.problem) + len(t.rationale))[:8]
    texts = [render(t, segmenter.rationale(t.rationale)) for t in shown for render in (segmenter.generator, segmenter.posterior)]
    examples = [FitExample(f"{n}", tokens) for n, tokens in enumerate(texts)]
    out: Path = tmp_path_factory.mktemp("start") / "model"
    fit(folder, examples, Fit(epochs=3, lr=2e-4, batch=4), Training(), out, seed=0)
    return out


def recipe(folder: Path, start: Path) -> Path:
    content = {
        "schema": 1,
        "name": "served",
        "engines": {"default": {**SERVED, "concurrency": 4}},
        "models": {"generator": str(start), "posterior": str(start)},
        "inputs": {"seeds": [{"path": "builtin:starter", "rows": 20}]},
        "em": {
            "rounds": 1,
            "candidates": 4,
            "check": 4,
            "sample": {"temperature": 1.0, "max_tokens": 112},
            "fit": {"epochs": 1, "lr": 1e-4, "batch": 4},
            "bound": {"k": [1, 2], "seeds": 2},
        },
    }
    path = folder / "served.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def noted(run: Path) -> int:
    """Answers in the journal of the draws, or their number when it is committed."""
    lines = [line for path in run.glob("em/1/draws/*/journal-*.jsonl") for line in path.read_text().splitlines()]
    committed: int = sum(pq.read_metadata(path).num_rows // 4 for path in run.glob("em/1/draws/*/part-*.parquet"))
    return len(lines) + committed


def servers(run: Path) -> set[int]:
    """The processes of servers that log into a run: of their groups, since workers rename themselves."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state = stat.read_text().rpartition(")")[2].split()[0]
            out = os.readlink(stat.parent / "fd" / "1")
        except OSError:
            continue
        if state != "Z" and str(run) in out:
            found |= {int(stat.parent.name)}
    return found


def until(condition, process):
    for _ in range(6000):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("it did not come so far")


def api_server(run: Path) -> int:
    """The server's own process: the child of its watchdog."""
    command = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in servers(run)}
    return next(pid for pid, line in sorted(command.items()) if b"api_server" in line and b"watchdog" not in line)


def test_a_round_of_em_on_servers_that_die_and_a_run_that_is_killed(start, tmp_path):
    """The server is killed among the draws, then the run itself; each row is there once, and nobody is left."""
    path, run = recipe(tmp_path, start), tmp_path / "run"
    process = runs.process("run", path, "--run", run, "--until", "em")
    until(lambda: noted(run) >= 2, process)
    os.kill(api_server(run), signal.SIGKILL)
    seen = noted(run)
    until(lambda: noted(run) > seen + 1, process)
    assert len(servers(run)) > 2
    process.kill()
    process.communicate()
    stop = time.monotonic() + 30
    while servers(run) and time.monotonic() < stop:
        time.sleep(0.1)
    assert not servers(run)
    kept = noted(run)

    again = runs.process("run", run, "--until", "em")
    out, err = again.communicate(timeout=1200)
    assert again.returncode == 0, out + err
    assert not servers(run)
    opened = promptcot.open(run)
    train = [row["id"] for row in opened["annotate"].to_pylist() if row["split"] == "train"]
    draws = opened["em/1/draws"].to_pylist()
    assert 0 < kept < len(train)
    assert sorted((d["parents"][0], d["draw"]) for d in draws) == sorted((t, n) for t in train for n in range(4))
    health = opened["em/1/health"].to_pylist()[0]
    assert health["valid_share"][0] > 0.1
    assert health["log_q_gap"] < handover.LIMIT
    steps = [f"{name}/handover/{role}" for name in ("em/0", "em/1") for role in ("posterior", "generator")]
    agreements = [row for step in steps for row in opened[step].to_pylist()]
    assert [0 < row["gap"] < row["limit"] for row in agreements] == [True] * 4
    print({"gaps": [(a["role"], round(a["gap"], 3), round(a["limit"], 2)) for a in agreements], "valid": health["valid_share"][0]})
