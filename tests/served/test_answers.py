"""What comes over HTTP is what the model says: draws, their log-probabilities, scores, conversations, usage."""

import math

import pytest

from promptcot.engines.conversation import chat_request
from promptcot.engines.openai.bodies import draw_seed
from promptcot.engines.protocol import ChatSampler, Message, Sampler, SampleRequest, Sampling, Scorer, ScoreRequest, Tokens
from promptcot.engines.tabular import TabularEngine
from promptcot.errors import MissingHere, UsageError
from promptcot.outcomes import Finish
from promptcot.recipe import EngineSpec
from promptcot.usage import Usage
from tests.served.conftest import engine
from tests.served.server import Habits

REQUESTS = [SampleRequest(f"r{n}", (1 + n % 3,), (0, 1)) for n in range(12)]
TEXTS = [Tokens((c,), ((z,), (x, 0))) for c in (1, 2, 3) for z in (4, 5) for x in (6, 7, 8, 9)]
SCORES = [ScoreRequest(f"s{n}", tokens) for n, tokens in enumerate(TEXTS)]


def own_scores(folder):
    return {s.id: s.log_p for s in TabularEngine.open(folder, EngineSpec()).score(SCORES)}


@pytest.mark.parametrize("scoring", ["prompt_logprobs", "echo"])
def test_scores_are_those_of_the_model(serve, pair, scoring):
    folder = pair.generator.path
    with engine(folder, serve({"p": folder}, Habits(scoring=scoring))) as served:
        served.require_scorer()
        found = {s.id: s.log_p for s in served.score(SCORES)}
    assert found == {key: pytest.approx(value, abs=1e-12) for key, value in own_scores(folder).items()}


@pytest.mark.parametrize("tells", ["token_ids", "names", "content"])
def test_a_draw_brings_its_own_log_probability(serve, pair, tells):
    folder = pair.generator.path
    with engine(folder, serve({"p": folder}, Habits(tells_ids=tells))) as served:
        for sampled in served.sample(REQUESTS, Sampling(), 3):
            prefix = next(r.prefix for r in REQUESTS if r.id == sampled.id)
            for c in sampled.completions:
                (scored,) = TabularEngine.open(folder, EngineSpec()).score([ScoreRequest("", Tokens(prefix, (c.ids[:1], (*c.ids[1:], 0))))])
                assert c.log_p == pytest.approx(sum(scored.log_p), abs=1e-12)
                assert (c.tokens, c.finish, c.text) == (3, Finish.STOP, served.tokenizer.decode(c.ids))


def test_a_cut_draw_sums_what_there_is(serve, pair):
    folder = pair.generator.path
    with engine(folder, serve({"p": folder})) as served:
        for sampled in served.sample(REQUESTS, Sampling(max_tokens=1), 3):
            for c in sampled.completions:
                assert (c.finish, len(c.ids), c.tokens) == (Finish.LENGTH, 1, 1)
                assert c.log_p < 0


@pytest.mark.parametrize("habits", [Habits(tells_ids="no"), Habits(ids="refused"), Habits(ids="misread"), Habits(strict=True, usage=False)])
def test_a_server_that_hides_ids_still_samples_the_same_texts(serve, pair, habits):
    folder = pair.generator.path
    with engine(folder, serve({"p": folder})) as served:
        wanted = {s.id: [c.text for c in s.completions] for s in served.sample(REQUESTS, Sampling(), 0)}
    with engine(folder, serve({"p": folder}, habits)) as served:
        found = list(served.sample(REQUESTS, Sampling(), 0))
    assert {s.id: [c.text for c in s.completions] for s in found} == wanted
    if habits.tells_ids == "no" or habits.strict:
        assert all(math.isnan(c.log_p) for s in found for c in s.completions)
    assert all(c.ids == served.tokenizer.encode(c.text) for s in found for c in s.completions)


@pytest.mark.parametrize("habits", [Habits(scoring="none"), Habits(ids="refused"), Habits(ids="misread"), Habits(strict=True)])
def test_a_server_that_cannot_score_is_refused(serve, pair, habits):
    folder = pair.generator.path
    with engine(folder, serve({"p": folder}, habits)) as served, pytest.raises(MissingHere, match="cannot score") as found:
        served.require_scorer()
    assert found.value.remedy
    assert "127.0.0.1" in found.value.where


def test_a_draw_depends_on_seed_id_and_number_alone(serve, pair):
    folder = pair.generator.path
    server = serve({"p": folder})
    with engine(folder, server, concurrency=1) as one, engine(folder, server, concurrency=32) as many:
        forward = {s.id: s for s in one.sample(REQUESTS, Sampling(), 7)}
        backward = {s.id: s for s in many.sample(reversed(REQUESTS), Sampling(), 7)}
        alone = {s.id: s for s in many.sample([SampleRequest("r3", REQUESTS[3].prefix, (1,))], Sampling(), 7)}
    assert forward == backward
    assert alone["r3"].completions == forward["r3"].completions[1:]
    assert len({draw_seed(s, i, d) for s in range(4) for i in ("a", "b") for d in range(50)}) == 400


@pytest.mark.parametrize("tempered", [False, True])
def test_log_probabilities_of_the_tempered_distribution_are_not_taken_for_the_models_own(serve, pair, tempered):
    folder = pair.generator.path
    with engine(folder, serve({"p": folder}, Habits(tempered=tempered))) as served:
        sharp = [c for s in served.sample(REQUESTS, Sampling(temperature=0.5), 0) for c in s.completions]
        exact = [c for s in served.sample(REQUESTS, Sampling(), 0) for c in s.completions]
    assert all(math.isnan(c.log_p) == tempered for c in sharp)
    assert not any(math.isnan(c.log_p) for c in exact)


@pytest.mark.slow
def test_a_tiny_transformer_scores_the_same_over_http(serve, tiny_model):
    requests = [ScoreRequest(f"{n}", Tokens((5, 6 + n), ((7, 8, 9), (10 + n, 2)))) for n in range(6)]
    with engine(tiny_model, serve({"tiny": tiny_model})) as served:
        law = served.tokenizer
        over_http = {s.id: s.log_p for s in served.score(requests)}
        prefix = law.encode("a b c")
        (sampled,) = served.sample([SampleRequest("a", prefix, tuple(range(8)))], Sampling(max_tokens=12), 0)
        drawn = sampled.completions
        ends = [(*c.ids, law.eos) if c.finish is Finish.STOP else c.ids for c in drawn]
        again = {s.id: s.log_p[0] for s in served.score([ScoreRequest(str(n), Tokens(prefix, (ids,))) for n, ids in enumerate(ends)])}
    from promptcot.engines.transformers import TransformersEngine

    with TransformersEngine.open(tiny_model, EngineSpec(dtype="fp32", device="cpu")) as own:
        wanted = {s.id: s.log_p for s in own.score(requests)}
    assert over_http == {key: pytest.approx(value, abs=1e-5) for key, value in wanted.items()}
    assert all(c.log_p == pytest.approx(again[str(n)], abs=1e-5) for n, c in enumerate(drawn))


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    from tests.engines.conftest import save_tiny_model

    return save_tiny_model(tmp_path_factory.mktemp("served-tiny"))


@pytest.mark.parametrize(
    "habits", [Habits(thinks=True), Habits(strict=True, thinks=True), Habits(strict=True, chat_limit="max_completion_tokens")]
)
def test_a_conversation_needs_no_folder_and_reasoning_stays_apart(serve, talker, habits):
    with engine("some/hosted-model", serve({"some/hosted-model": talker}, habits)) as served:
        request = chat_request(served, "a", [Message("user", "How is the weather?")], (0, 1))
        (sampled,) = served.sample([request], Sampling(max_tokens=50), 0)
    for c in sampled.completions:
        assert c.text.startswith("Rain, ")
        assert c.text.endswith(" mm.")
        assert c.reasoning == ("Let me think." if habits.thinks else "")
        assert (c.finish, c.ids, c.tokens) == (Finish.STOP, (), len(c.text))
        assert math.isnan(c.log_p)
    assert len({c.text for c in sampled.completions}) == 2


def test_a_model_without_a_folder_has_no_tokens(serve, talker):
    with engine("hosted", serve({"hosted": talker})) as served, pytest.raises(UsageError, match="not known here"):
        served.tokenizer.encode("a")


def test_an_endpoint_that_only_chats_continues_no_text(serve, pair):
    folder = pair.generator.path
    with engine(folder, serve({"p": folder}), endpoint="chat") as served, pytest.raises(UsageError, match="continues no text"):
        list(served.sample(REQUESTS, Sampling(), 0))


def test_the_served_name_is_given_listed_or_the_folder(serve, pair):
    folder = pair.generator.path
    listed, by_path = serve({"first": folder, "second": folder}), serve({}, by_path=True)
    for server, settings, wanted in (
        (listed, {}, "first"),
        (listed, {"model": "second"}, "second"),
        (by_path, {"model": "{path}"}, str(folder.resolve())),
    ):
        with engine(folder, server, **settings) as served:
            list(served.sample(REQUESTS[:1], Sampling(), 0))
        assert {e.body["model"] for e in server.entries()} == {wanted}
        server.log.clear()


@pytest.mark.parametrize("usage", [True, False])
def test_usage_counts_tokens_requests_and_dollars(serve, pair, usage):
    folder = pair.generator.path
    server = serve({"p": folder}, Habits(usage=usage), plan=lambda n, body: "500" if n == 5 else None)
    with engine(folder, server, usd_per_million_in=1e6, usd_per_million_out=2e6) as served:
        assert served.usage == Usage()
        list(served.sample(REQUESTS, Sampling(), 0))
        before = served.usage
        list(served.score(SCORES[:3]))
    used = served.usage
    draws = 2 * len(REQUESTS)
    assert before.requests == draws + 3  # besides the draws: the list of models, the first try of what the server can do, the repeated one
    assert before.tokens_out == 3 * draws + 1
    assert before.tokens_in == draws + 1
    assert used.tokens_in > before.tokens_in
    assert used.usd == pytest.approx(used.tokens_in + 2 * used.tokens_out)
    assert before + Usage(1, 2, 3, 4.0) == Usage(before.tokens_in + 1, before.tokens_out + 2, before.requests + 3, before.usd + 4.0)


def test_the_engine_keeps_the_protocols(pair, serve):
    with engine(pair.generator.path, serve({"p": pair.generator.path})) as served:
        assert isinstance(served, Sampler)
        assert isinstance(served, Scorer)
        assert isinstance(served, ChatSampler)
        assert served.independent
