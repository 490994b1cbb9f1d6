"""Servers that are started for an engine: with a stand-in for vLLM's interpreter, real processes all the same."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from promptcot import em, handover
from promptcot.engines import open_engine
from promptcot.engines.protocol import SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.engines.vllm import environment, server
from promptcot.engines.vllm.command import launch
from promptcot.engines.vllm.engine import VllmEngine
from promptcot.engines.vllm.environment import Environment
from promptcot.engines.vllm.fleet import FLEET, Fleet
from promptcot.errors import Incomplete, MissingHere, Stopped, UsageError
from promptcot.executors import LocalWorkplace, MemoryWorkplace
from promptcot.heldout import Pair
from promptcot.recipe import Bound, Em, EngineSpec
from promptcot.store import Run
from promptcot.triples import Pool
from tests import runs, toy
from tests.served import stub

pytestmark = pytest.mark.slow  # servers are started, killed and waited for

pytest.importorskip("httpx2")

PREFIX = (1, 7)  # c0 x1, what the toy posterior reads
SCORES = [ScoreRequest(f"{z}", Tokens(PREFIX, ((z, 0),))) for z in (4, 5)]


@pytest.fixture
def noted(tmp_path):
    """Where starts are noted."""
    return tmp_path / "starts.jsonl"


@pytest.fixture
def spec(tmp_path, noted):
    def make(*extra: str, **settings):
        return EngineSpec(kind="vllm", python=str(stub.write(tmp_path)), extra_args=["--starts", str(noted), *extra], **settings)

    return make


@pytest.fixture
def fleet(tmp_path):
    made = Fleet()
    with made.logging_to(tmp_path / "logs"):
        yield made


def scores(fleet, path, spec):
    with VllmEngine(path, spec, fleet) as engine:
        return {s.id: s.log_p for s in engine.score(SCORES)}


def test_a_server_is_started_once_and_stays_for_those_who_come_later(fleet, pair, spec, noted):
    with open_engine(pair.posterior.path, EngineSpec(kind="tabular")) as engine:
        wanted = {s.id: s.log_p for s in engine.score(SCORES)}
    for _ in range(3):
        found = scores(fleet, pair.posterior.path, spec())
        assert {key: sum(value) for key, value in found.items()} == pytest.approx({key: sum(value) for key, value in wanted.items()})
    (start,) = stub.starts(noted)
    assert stub.alive(start["pid"])
    fleet.release()
    assert not stub.alive(start["pid"])


def test_opening_an_engine_starts_nothing(fleet, pair, spec, noted):
    with VllmEngine(pair.posterior.path, spec(), fleet) as engine:
        assert engine.tokenizer.encode("z1") == (5,)
        assert engine.width == 64
    assert not stub.starts(noted)


def test_other_weights_take_the_place_of_those_that_nobody_uses(fleet, pair, spec, noted):
    with VllmEngine(pair.posterior.path, spec(), fleet) as q:
        assert list(q.score(SCORES))
        with VllmEngine(pair.generator.path, spec(), fleet) as p:
            assert list(p.sample([SampleRequest("a", (1,))], Sampling(max_tokens=4), 0))
        assert [s["alone"] for s in stub.starts(noted)] == [True, False]  # q was in use
        fleet.release()
        assert [stub.alive(s["pid"]) for s in stub.starts(noted)] == [True, False]
    scores(fleet, pair.generator.path, spec())
    assert stub.starts(noted)[-1]["alone"]


def test_servers_that_share_the_memory_stay_side_by_side(fleet, pair, spec, noted, tmp_path):
    third = toy.pair(tmp_path / "third").posterior.path
    for path in (pair.posterior.path, pair.generator.path, pair.posterior.path, third, pair.posterior.path):
        with VllmEngine(path, spec(gpu_memory=0.4), fleet) as engine:
            engine.require_scorer()
            assert list(engine.sample([SampleRequest("a", PREFIX)], Sampling(max_tokens=4), 0))
    begun = stub.starts(noted)
    assert [s["model"] for s in begun] == [str(path.resolve()) for path in (pair.posterior.path, pair.generator.path, third)]
    assert [stub.alive(s["pid"]) for s in begun] == [True, False, True]  # the one that was used longest ago made room


def test_an_engine_that_outlives_its_server_leaves_the_next_one_in_peace(fleet, pair, spec, noted):
    late = VllmEngine(pair.posterior.path, spec(), fleet)
    assert list(late.score(SCORES))
    fleet.close()
    with VllmEngine(pair.posterior.path, spec(), fleet) as engine:
        assert list(engine.score(SCORES))
        late.close()
        fleet.release()
        assert [stub.alive(s["pid"]) for s in stub.starts(noted)] == [False, True]
    fleet.release()
    assert not stub.alive(stub.starts(noted)[-1]["pid"])


def test_a_server_that_does_not_come_up_is_quoted(fleet, pair, spec):
    with pytest.raises(MissingHere, match=r"(?s)ended while it started.*\| no room for 8 GPUs") as caught:
        scores(fleet, pair.posterior.path, spec("--fail", "no room for 8 GPUs"))
    assert "gpu_memory" in caught.value.remedy
    assert caught.value.text().count("| loading") == server.SHOWN - 2  # the watchdog's own last line is one of them
    with pytest.raises(MissingHere, match="start_timeout_s"):
        scores(fleet, pair.posterior.path, spec("--hang", start_timeout_s=0.5))


def test_what_a_dying_server_was_working_on_is_done_by_the_next(fleet, pair, spec, noted):
    """Killed in the middle of its work, as by the kernel for want of memory: every row is answered once."""
    requests = [SampleRequest(f"{n}", PREFIX, (0, 1)) for n in range(40)]
    with VllmEngine(pair.posterior.path, spec("--die-at", "30", "--die-once"), fleet) as engine:
        replies = list(engine.sample(requests, Sampling(max_tokens=4), 0))
    assert sorted(r.id for r in replies) == sorted(r.id for r in requests)
    assert all(c.finish == "stop" and not c.error for r in replies for c in r.completions)
    assert len(stub.starts(noted)) == 2


def test_a_server_that_dies_again_and_again_ends_the_run_as_incomplete(fleet, pair, spec, noted):
    with pytest.raises(Incomplete, match="died 3 times"), VllmEngine(pair.posterior.path, spec("--die-at", "12"), fleet) as engine:
        list(engine.sample([SampleRequest(f"{n}", PREFIX) for n in range(200)], Sampling(max_tokens=4), 0))
    assert len(stub.starts(noted)) == 1 + server.RESTARTS


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nobody_is_left_when_the_process_that_started_them_is_killed(pair, spec, noted, number):
    """Not even a worker that does not hear when it is asked to end."""
    program = (
        "import sys; from pathlib import Path; from promptcot.recipe import EngineSpec; from promptcot.engines import open_engine\n"
        "from tests.served.test_vllm import SCORES\n"
        "engine = open_engine(Path(sys.argv[1]), EngineSpec.model_validate_json(sys.argv[2]))\n"
        "print(len(list(engine.score(SCORES))), flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(pair.posterior.path), spec("--worker").model_dump_json()]
    paths = {**os.environ, "PYTHONPATH": f"{stub.ROOT / 'src'}:{stub.ROOT}"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=paths) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "2\n"
        (start,) = stub.starts(noted)
        assert stub.alive(start["pid"])
        assert stub.alive(start["worker"])
        process.send_signal(number)
        process.wait()
    assert stub.gone(start["pid"], start["worker"])


def test_a_killed_watchdog_takes_its_server_along(fleet, pair, spec, noted):
    with VllmEngine(pair.posterior.path, spec("--worker"), fleet) as engine:
        assert list(engine.score(SCORES))
        (start,) = stub.starts(noted)
        os.kill(int(Path(f"/proc/{start['pid']}/stat").read_text().split()[3]), signal.SIGKILL)
        assert stub.gone(start["pid"])
        assert list(engine.score(SCORES))
        assert stub.gone(start["worker"])
    assert len(stub.starts(noted)) == 2


def test_an_engine_that_is_closed_does_not_wait_for_a_server_to_come_up(fleet, pair, spec):
    """As after a second SIGTERM: the thread that waits is told."""
    engine, raised = VllmEngine(pair.posterior.path, spec("--hang"), fleet), []

    def ask() -> None:
        try:
            list(engine.score(SCORES))
        except Incomplete as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    engine.close()
    thread.join(5)
    assert not thread.is_alive()
    assert raised


def test_a_proxy_in_the_environment_is_not_asked(fleet, pair, spec, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert len(scores(fleet, pair.posterior.path, spec())) == 2


# the environment and the command


def test_the_interpreter_is_the_recipes_then_the_environments_then_the_built_one(tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("recipe", "variable", "built")]
    for folder in folders:
        folder.mkdir()
    chosen, variable, built = map(stub.write, folders)
    monkeypatch.setattr(environment, "BUILT", built)
    monkeypatch.setenv(environment.VARIABLE, str(variable))
    assert environment.find(str(chosen)).python == chosen
    assert environment.find().python == variable
    monkeypatch.delenv(environment.VARIABLE)
    assert environment.find() == Environment(built, "0.32.0", "cpu")
    built.unlink()
    with pytest.raises(MissingHere, match="no environment") as caught:
        environment.find()
    assert caught.value.remedy.startswith("make vllm")
    with pytest.raises(MissingHere, match="no interpreter"):
        environment.find(str(tmp_path / "absent"))
    with pytest.raises(MissingHere, match="has no vLLM"):
        environment.find(sys.executable)


def test_the_command_says_what_the_recipe_wants(tmp_path):
    def line(device: str, **settings) -> str:
        return " ".join(launch(tmp_path, EngineSpec(kind="vllm", **settings), Environment(Path("py"), "0", device), 7, "name").command)

    gpu = line("cuda", gpus=8, tensor_parallel=2, gpu_memory=0.8, max_len=2048, concurrency=99, extra_args=["--quantization", "fp8"])
    for part in ("--tensor-parallel-size 2", "--data-parallel-size 4", "--gpu-memory-utilization 0.8", "--max-model-len 2048"):
        assert part in gpu
    for part in ("--host 127.0.0.1", "--dtype bfloat16", "--max-num-seqs 99", "--generation-config vllm"):
        assert part in gpu
    assert gpu.endswith("--quantization fp8")
    assert "--enforce-eager" not in gpu
    cpu = line("cpu", gpus=8, tensor_parallel=2, gpu_memory=0.9, dtype="fp32")
    assert "--dtype float32" in cpu
    assert "--enforce-eager --no-enable-chunked-prefill" in cpu
    assert "parallel" not in cpu
    assert "utilization" not in cpu


def test_a_server_knows_nothing_of_our_packages_and_reports_to_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    variables = launch(tmp_path, EngineSpec(kind="vllm"), Environment(Path("py"), "0", "cpu"), 7, "name").variables
    assert "PYTHONPATH" not in variables
    assert variables["VLLM_NO_USAGE_STATS"] == "1"
    assert variables["VLLM_CPU_KVCACHE_SPACE"] == "4"
    with pytest.raises(UsageError, match="no room"):
        launch(tmp_path, EngineSpec(kind="vllm", gpu_memory=1e-9), Environment(Path("py"), "0", "cpu"), 7, "name")


# whole rounds and runs


def served_pair(pair, spec) -> Pair:
    return Pair(replace(pair.generator, engine=spec), replace(pair.posterior, engine=spec))


@pytest.mark.slow
@pytest.mark.parametrize("share", [None, 0.3])
def test_a_round_of_em_starts_each_model_when_it_is_needed_and_only_then(pair, spec, noted, tmp_path, share):
    """The E-step one server for q and one for p; the bound one for each of four models. Without room for two at once the new q once more,
    since each posterior scores the other's draws. None goes on during a fit."""
    setting = toy.setting(Em(rounds=1, candidates=4, ess=0, data="all", bound=Bound(k=[1, 4]), check=4))
    pool, dev = toy.annotated(toy.triples(2)), toy.renamed(toy.triples(None), "dev")
    place = LocalWorkplace(Run.create(tmp_path / "run", {}))
    result = em.run(place, served_pair(pair, spec(gpu_memory=share)), pool, dev, setting)
    FLEET.close()
    begun = stub.starts(noted)
    new, old = result.rounds[0].pair, pair
    again = [] if share else [new.posterior]
    order = [old.posterior, old.generator, new.posterior, old.posterior, *again, old.generator, new.generator]
    assert [s["model"] for s in begun] == [str(role.path.resolve()) for role in order]
    assert [s["alone"] for s in begun] == ([True, False, True, False, False, False] if share else [True] * 7)
    assert stub.gone(*(s["pid"] for s in begun))
    agreements = [pq.read_table(path).to_pylist()[0] for path in (tmp_path / "run").glob("em/*/handover/*/*/part-*.parquet")]
    assert sorted(row["role"] for row in agreements) == ["generator", "generator", "posterior", "posterior"]
    assert all(row["gap"] < 1e-9 and len(row["parents"]) == 4 for row in agreements)


@pytest.mark.slow
def test_what_is_handed_over_is_checked_without_held_out_problems_too(pair, spec, tmp_path):
    place = LocalWorkplace(Run.create(tmp_path / "run", {}))
    setting = toy.setting(Em(rounds=1, candidates=4, ess=0, check=4))
    em.run(place, served_pair(pair, spec(gpu_memory=0.3)), toy.annotated(toy.triples(1)), Pool((), "none"), setting)
    FLEET.close()
    assert len(list((tmp_path / "run").glob("em/*/handover/*/*/part-*.parquet"))) == 4


def test_weights_that_are_not_those_that_were_trained_are_refused(pair, spec, tmp_path):
    """A server that goes on with other weights: the error names what both engines say."""
    wrong = toy.role(tmp_path, "posterior", z_given_cx=[[[0.9, 0.1]] * 4] * 3)
    pool = toy.annotated(toy.triples(None))
    honest, lying = (served_pair(pair, spec(*extra)).posterior for extra in ((), ("--weights", str(wrong.path))))
    with pytest.raises(Stopped, match=r"0\.59 nats a text .*; mean log p -0\.11 served, -0\.69 here"):
        handover.agree(MemoryWorkplace(tmp_path / "w"), "em/1", lying, pool, rows=4)
    handover.agree(MemoryWorkplace(tmp_path / "w"), "em/1", lying, pool, rows=0)
    handover.agree(MemoryWorkplace(tmp_path / "w"), "em/1", honest, pool, rows=4)


def synthesis(folder: Path, python: Path, noted: Path, *extra: str) -> Path:
    talker = runs.script(folder / "talker")
    engine = {"kind": "vllm", "python": str(python), "shard_rows": 1000, "concurrency": 4, "extra_args": ["--starts", str(noted), *extra]}
    return runs.recipe(
        folder,
        engines={"default": engine},
        models={"generator": str(talker)},
        inputs={"concept_sets": [str(runs.concept_sets(folder / "sets.jsonl", 60))]},
        synthesize={"concept_sets": 60, "passes": 1, "sample": {"max_tokens": 2000}},
    )


@pytest.mark.slow
def test_a_killed_run_leaves_no_server_and_goes_on_with_another(tmp_path, noted):
    recipe, run = synthesis(tmp_path, stub.write(tmp_path), noted, "--worker"), tmp_path / "run"
    process = runs.process("run", recipe, "--run", run)
    while len([line for path in run.rglob("journal-*.jsonl") for line in path.read_text().splitlines()]) < 10:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    (first,) = stub.starts(noted)
    assert stub.gone(first["pid"], first["worker"])
    again = runs.process("run", run)
    out, err = again.communicate(timeout=120)
    assert again.returncode == 0, out + err
    assert len(stub.starts(noted)) == 2
    assert stub.gone(*(s[who] for s in stub.starts(noted) for who in ("pid", "worker")))
    import promptcot

    assert len(set(promptcot.open(run)["synthesize/problems"].column("id").to_pylist())) == 60
    assert list((run / "logs").glob("vllm-*.log"))


@pytest.mark.slow
def test_a_run_whose_server_dies_too_often_is_incomplete_and_resumes(tmp_path, noted):
    recipe, run = synthesis(tmp_path, stub.write(tmp_path), noted, "--die-at", "20"), tmp_path / "run"
    left = []
    for _ in range(3):
        process = runs.process("run", recipe, "--run", run)
        _, err = process.communicate(timeout=120)
        left.append((process.returncode, err))
    assert [code for code, _ in left] == [3, 0, 0], left
    assert "died 3 times" in left[0][1]
