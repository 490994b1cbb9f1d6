"""Whatever a server does, every row comes back once: answered, or failed and counted. No fault changes an answer."""

import threading
import time
from collections import Counter
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from promptcot.engines.conversation import chat_request
from promptcot.engines.openai.bodies import draw_seed
from promptcot.engines.openai.breaker import Breaker
from promptcot.engines.openai.congestion import Congestion
from promptcot.engines.openai.engine import OpenAIEngine
from promptcot.engines.openai.failures import REMEDIES, retry_after
from promptcot.engines.protocol import Message, SampleRequest, Sampling, ScoreRequest, Tokens
from promptcot.errors import Incomplete, MissingHere, PromptcotError, Stopped, UsageError
from promptcot.outcomes import Finish
from promptcot.recipe import EngineSpec
from tests.served.conftest import QUICK, engine
from tests.served.server import FAULTS, Habits, Served, at, mix

REQUESTS = [SampleRequest(f"r{n}", (1 + n % 3,), (0, 1, 2)) for n in range(20)]
SCORES = [ScoreRequest(f"s{n}", Tokens((1 + n % 3,), ((4 + n % 2,), (6 + n % 4, 0)))) for n in range(20)]
EVERY_OTHER = [fault for fault in FAULTS if fault != "hang"]


def everything(served):
    drawn = list(served.sample(iter(REQUESTS), Sampling(), 5))
    scored = list(served.score(iter(SCORES)))
    return drawn, scored


@pytest.fixture(scope="module")
def wanted(pair):
    with Served({"p": pair.generator.path}) as server, engine(pair.generator.path, server) as served:
        drawn, scored = everything(served)
    return {s.id: s for s in drawn}, {s.id: s for s in scored}


def assert_whole(found, wanted):
    for mine, theirs in zip(found, wanted, strict=True):
        assert Counter(row.id for row in mine) == Counter(theirs.keys())  # none lost, none twice
        assert {row.id: row for row in mine} == theirs


@pytest.mark.parametrize("fault", EVERY_OTHER)
def test_a_passing_fault_loses_nothing_and_changes_nothing(serve, pair, wanted, fault):
    folder = pair.generator.path
    server = serve({"p": folder}, plan=lambda number, body: fault if number % 5 == 1 else None)
    with engine(folder, server) as served:
        assert_whole(everything(served), wanted)
    draws = [e.key for e in server.entries(answered=True) if e.body.get("max_tokens") == Sampling().max_tokens]
    assert Counter(draws).most_common(1)[0][1] == 1  # a good answer is never asked for again
    assert sum(e.fault is not None for e in server.entries()) > 10


def test_a_server_that_hangs_is_asked_again(serve, pair, wanted):
    folder = pair.generator.path
    server = serve({"p": folder}, plan=at({7: "hang", 20: "hang"}))
    with engine(folder, server, timeout_s=0.4) as served:
        assert_whole(everything(served), wanted)


@settings(max_examples=6, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    share=st.floats(0.0, 0.5),
    faults=st.sets(st.sampled_from(sorted({*EVERY_OTHER} - {"429_after"})), min_size=1),
)
def test_no_mix_of_faults_loses_a_row(pair, wanted, seed, share, faults):
    folder = pair.generator.path
    with Served({"p": folder}, plan=mix(seed, share, sorted(faults))) as server, engine(folder, server, retries=40) as served:
        assert_whole(everything(served), wanted)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_wrong_request_is_not_repeated(serve, talker, monkeypatch, status):
    """401 and 404 come by themselves; the texts of all name url, status and remedy."""
    monkeypatch.setenv("A_KEY", "sk-very-secret")
    habits = {400: Habits(strict=True, chat_limit="nonsense"), 401: Habits(key="other")}.get(status, Habits())
    server = serve({"real": talker}, habits)
    name = "real" if status in (400, 401) else "wrong"
    with engine(name, server, key_env="A_KEY") as served, pytest.raises(UsageError) as found:
        list(served.sample([chat_request(served, "a", [Message("user", "hi")])], Sampling(), 0))
    text = found.value.text()
    assert str(status) in text
    assert server.url in text
    assert REMEDIES[status] in text
    assert "secret" not in text
    assert len(server.entries()) == (5 if status == 400 else 1)


def test_a_key_that_the_environment_lacks_is_missed_before_anything_is_sent(serve, pair, monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    server = serve({"p": pair.generator.path}, Habits(key="sk-1"))
    with engine(pair.generator.path, server, key_env="A_KEY") as served, pytest.raises(MissingHere, match="A_KEY"):
        list(served.sample(REQUESTS, Sampling(), 0))
    assert not server.entries()


def test_the_key_opens_the_door_and_shows_nowhere(serve, pair, monkeypatch, caplog):
    monkeypatch.setenv("A_KEY", "sk-very-secret")
    server = serve({"p": pair.generator.path}, Habits(key="sk-very-secret"), plan=mix(1, 0.3, ["429", "reset", "not_json"]))
    with caplog.at_level("DEBUG"), engine(pair.generator.path, server, key_env="A_KEY") as served:
        assert len(list(served.sample(REQUESTS, Sampling(), 0))) == len(REQUESTS)
        shown = [repr(served), repr(vars(served)), repr(vars(served._client)), repr(vars(served._started()[0].pool)), caplog.text]
    assert not any("very-secret" in text for text in shown)


@pytest.mark.parametrize("url", ["http://user:pass@host/v1", "http://host/v1?key=sk-1", "host/v1", "ftp://host"])
def test_a_url_with_a_secret_in_it_is_no_url(url):
    with pytest.raises(ValueError, match="key_env"):
        EngineSpec(kind="openai", urls=[url])


def test_a_pasted_key_is_no_name_of_a_variable():
    with pytest.raises(ValueError, match="key_env"):
        EngineSpec(kind="openai", urls=["http://host/v1"], key_env="sk-abc-123")


def test_a_row_that_fails_for_good_is_told_and_the_others_go_on(serve, pair, wanted):
    folder, bad = pair.generator.path, draw_seed(5, "r4", 1)
    server = serve({"p": folder}, plan=lambda number, body: "empty" if body.get("seed") == bad else None)
    with engine(folder, server, retries=2) as served:
        drawn = {s.id: s for s in served.sample(REQUESTS, Sampling(), 5)}
    failed = drawn["r4"].completions[1]
    assert (failed.finish, failed.text, failed.ids, failed.tokens) == (Finish.ERROR, "", (), 0)
    assert "without choices" in failed.error
    assert {k: v for k, v in drawn.items() if k != "r4"} == {k: v for k, v in wanted[0].items() if k != "r4"}
    assert sum(e.body.get("seed") == bad for e in server.entries()) == 3


@pytest.mark.parametrize("fault", ["nan", "null"])
def test_a_score_that_is_no_number_is_asked_for_again_and_then_given_up(serve, pair, wanted, fault):
    folder = pair.generator.path
    bad = [1, 4, 6, 0]
    server = serve({"p": folder}, plan=lambda number, body: fault if body["prompt"] == bad else None)
    with engine(folder, server, retries=2) as served:
        scored = {s.id: s for s in served.score(SCORES)}
    hit = [r.id for r in SCORES if (r.tokens.prefix, *r.tokens.segments) == ((1,), (4,), (6, 0))]
    assert hit
    for key, row in scored.items():
        assert bool(row.error) == (key in hit)
        assert "log-probability" in row.error or row == wanted[1][key]
    assert sum(e.body["prompt"] == bad for e in server.entries()) == 3 * len(hit)


def test_a_server_that_answers_nothing_usable_stops_the_run_early(serve, pair):
    folder = pair.generator.path
    server = serve({"p": folder}, plan=lambda number, body: "empty" if number > 0 and number % 3 else None)
    many = [SampleRequest(f"m{n}", (1,)) for n in range(1000)]
    with engine(folder, server, retries=0) as served, pytest.raises(Stopped) as found:
        list(served.sample(iter(many), Sampling(), 0))
    assert found.value.text().count("    | m") == 5
    assert len(server.entries()) < 500


def test_a_few_failures_among_many_rows_do_not_stop():
    breaker = Breaker()
    for n in range(1000):
        breaker.note(f"{n}", "bad" if n % 6 == 5 else "")
    for n in range(100):
        breaker.note(f"late {n}", "bad")  # the first rows were good: what fails later is counted by the steps


def test_a_crowded_server_is_asked_less_at_once_until_it_keeps_up(serve, pair, wanted):
    folder = pair.generator.path
    server = serve({"p": folder}, Habits(room=3), plan=lambda number, body: "slow")
    with engine(folder, server, concurrency=64) as served:
        assert_whole(everything(served), wanted)
        assert served._started()[0].pool.servers[0].congestion.limit < 16


def test_one_refusal_of_many_in_flight_halves_once():
    congestion = Congestion(64)
    for _ in range(100):
        congestion.grow()
    assert congestion.limit == 64
    sent = time.monotonic()
    for _ in range(10):
        congestion.shrink(sent)
    assert congestion.limit == 32
    for _ in range(32):
        congestion.grow()
    assert 32.9 < congestion.limit < 33.1  # one more per round trip
    for _ in range(20):
        congestion.shrink(time.monotonic())
    assert congestion.limit == 1


def test_retry_after_is_waited_for(serve, pair):
    folder = pair.generator.path
    server = serve({"p": folder}, plan=at({4: "429_after"}))
    with engine(folder, server, concurrency=1) as served:
        assert len(list(served.sample(REQUESTS, Sampling(), 0))) == len(REQUESTS)
    entries = server.entries()
    assert entries[5].at - entries[4].at >= 0.09


def test_retry_after_may_be_seconds_a_date_or_nonsense():
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None


def test_requests_per_minute_are_kept(serve, pair):
    folder = pair.generator.path
    server = serve({"p": folder})
    with engine(folder, server, requests_per_minute=1200) as served:
        list(served.sample(REQUESTS[:3], Sampling(), 0))
    entries = server.entries()
    assert entries[-1].at - entries[0].at >= 0.05 * (len(entries) - 1) - 0.02


def test_work_goes_to_all_servers_and_a_dead_ones_is_done_elsewhere(serve, pair, wanted):
    folder = pair.generator.path
    good, dying = serve({"p": folder}), Served({"p": folder}, plan=lambda number, body: "slow")
    with engine(folder, good, dying, concurrency=4) as served:
        drawn = []
        for sampled in served.sample(iter(REQUESTS), Sampling(), 5):
            drawn.append(sampled)
            if len(drawn) == 5:
                assert dying.entries()
                dying.stop()
        scored = list(served.score(SCORES))
        assert_whole((drawn, scored), wanted)
        seen = len(dying.entries())
        with Served({"p": folder}, port=dying.port) as again:  # it comes back, and is found
            for n in count():
                list(served.sample([SampleRequest(f"later {n}.{k}", (1,)) for k in range(10)], Sampling(), 5))
                if again.entries():
                    break
                assert n < 500
                time.sleep(0.005)
    assert good.entries()
    assert seen


def test_when_all_are_dead_the_run_can_be_resumed(serve, pair):
    folder = pair.generator.path
    dead = Served({"p": folder})
    dead.stop()
    with engine(folder, dead, dead, retries=2) as served, pytest.raises(Incomplete, match="no server answers") as found:
        list(served.sample(REQUESTS, Sampling(), 0))
    assert "same command" in found.value.remedy
    assert found.value.exit_code == 3


def test_a_service_that_never_has_room_ends_as_incomplete(serve, pair, monkeypatch):
    folder = pair.generator.path
    server = serve({"p": folder}, plan=lambda number, body: "429" if number > 3 else None)
    impatient = type(QUICK)(first_s=0.01, longest_s=0.02, busy_s=0.2)
    spec = EngineSpec(kind="openai", urls=[server.url])
    with OpenAIEngine(folder, spec, impatient) as served, pytest.raises(Incomplete, match="want of room"):
        list(served.sample(REQUESTS, Sampling(), 0))


def test_leaving_early_gives_up_what_is_in_flight(serve, pair):
    folder = pair.generator.path
    server = serve({"p": folder}, plan=lambda number, body: "hang" if number > 10 else None)
    with engine(folder, server, concurrency=4) as served:
        rows = served.sample(iter(REQUESTS), Sampling(), 0)
        next(rows)
        rows.close()  # type: ignore[attr-defined]
    assert not any(thread.name == "requests" for thread in threading.enumerate())


def test_only_a_window_of_requests_is_read_ahead(serve, pair):
    folder = pair.generator.path
    pulled = 0

    def endless():
        nonlocal pulled
        for n in count():
            pulled += 1
            yield SampleRequest(f"{n}", (1,))

    with engine(folder, serve({"p": folder}), concurrency=4) as served:
        rows = served.sample(endless(), Sampling(), 0)
        for _ in range(50):
            next(rows)
        assert pulled <= 50 + 2 * served.width
        rows.close()  # type: ignore[attr-defined]


def test_several_threads_may_ask_at_once(serve, pair, wanted):
    folder = pair.generator.path
    found: list[object] = []
    with engine(folder, serve({"p": folder})) as served:
        threads = [threading.Thread(target=lambda r=r: found.extend(served.sample([r], Sampling(), 5))) for r in REQUESTS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {s.id: s for s in found} == wanted[0]  # type: ignore[attr-defined]


def test_every_error_says_what_to_do(serve, pair):
    with engine(pair.generator.path, serve({})) as served, pytest.raises(PromptcotError) as found:
        list(served.sample(REQUESTS, Sampling(), 0))
    assert found.value.remedy
