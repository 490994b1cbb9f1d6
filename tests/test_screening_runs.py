"""Screening in a run: evidence, a judge and its unreadable replies, validity, hashes in place of texts; the same from the shell."""

import json

import pytest

import promptcot
from promptcot.errors import UsageError
from promptcot.inspection import status, table
from promptcot.store import Run
from promptcot.templates_judging import CRITERIA
from promptcot.words import words
from tests.runs import Shell, jsonl, recipe, script
from tests.test_contamination import HELD, laid_out_anew
from tests.test_screening import CARDS, POND, TRAM

HILL = "A cyclist rides 12 km up a hill at 8 km per hour and back down at 24 km per hour. What is the mean speed for the whole ride?"
FINE = dict.fromkeys(CRITERIA, "perfect")


def verdict(**grades):
    return f"I solved it.\n```json\n{json.dumps({**FINE, **grades})}\n```"


@pytest.fixture
def shell(monkeypatch, capsys):
    return Shell(monkeypatch, capsys)


def judged(folder, against, **screen):
    folder.mkdir(exist_ok=True)
    leak = f"In other words: {laid_out_anew(HELD)}"
    problems = [{"problem": text} for text in (TRAM, POND, CARDS, HILL, leak, "Prove that 3 is odd.")]
    models = {"judge": str(script(folder / "judge", ("tram", verdict()), ("pond", verdict(solvability="bad")), default="It is fine."))}
    inputs = {"problems": [str(jsonl(folder / "p.jsonl", problems))]}
    return recipe(folder, inputs=inputs, models=models, synthesize=None, screen={"against": against, "judge": {}, **screen})


def evaluation(folder):
    folder.mkdir(exist_ok=True)
    return str(jsonl(folder / "held.jsonl", [{"problem": HELD}]))


def texts(rows):
    return {row["problem"] for row in rows.to_pylist()}


def gone(folder, step):
    return table(Run.open(folder), step, dropped=True).to_pylist()


def test_rules_then_a_judge_and_every_row_is_accounted_for(tmp_path):
    held = evaluation(tmp_path / "held")
    run = promptcot.run(judged(tmp_path / "a", [held]), folder=tmp_path / "run")
    assert texts(run["screen"]) == {TRAM, CARDS, HILL}
    dropped = {row["reason"]: row["detail"] for row in gone(tmp_path / "run", "screen")}
    assert set(dropped) == {"contaminated", "proof", "judged"}
    assert dropped["judged"] == "below `acceptable`: solvability: bad"
    assert dropped["contaminated"].startswith(f"{held} 0 (ngram): ")
    [screen] = [s for s in status(Run.open(tmp_path / "run"))["stages"] if s["name"] == "screen"]
    assert (screen["rows_in"], screen["rows_out"], screen["state"]) == (6, 3, "done")


def test_the_evidence_shows_both_texts_and_unreadable_judgments_are_kept(tmp_path):
    run = promptcot.run(judged(tmp_path / "a", [evaluation(tmp_path / "held")]), folder=tmp_path / "run")
    [row] = run["screen/resemblances"].to_pylist()
    assert (row["theirs"], row["decisive"], row["text"]) == (HELD, True, 0)
    ((a, b, c, d),) = json.loads(row["blocks"])
    assert (c, d) == (0, len(HELD))
    assert words(row["ours"][a:b]) == words(HELD)
    assert run["screen/judgments"].num_rows == 2
    assert [r["content"] for r in gone(tmp_path / "run", "screen/judgments")] == ["It is fine."] * 2


def test_validity_stands_beside_with_n_and_interval(tmp_path):
    run = promptcot.run(judged(tmp_path / "a", [evaluation(tmp_path / "held")]), folder=tmp_path / "run")
    found = {row["basis"]: row for row in run["screen/validity"].to_pylist()}
    assert {basis: (row["value"], row["n"]) for basis, row in found.items()} == {"judge": (0.5, 2), "rules": (0.8, 5)}
    assert all(row["low"] < row["value"] < row["high"] for row in found.values())


def test_labels_add_their_agreement_to_validity(tmp_path):
    problems = jsonl(tmp_path / "p.jsonl", [{"problem": TRAM}, {"problem": POND}])
    solver = script(tmp_path / "solver", ("tram", r"\boxed{21}"), default=r"\boxed{{draw}}")
    label = {"votes": 4, "agree": 3, "sample": {"max_tokens": 300}}
    made = recipe(tmp_path, inputs={"problems": [str(problems)]}, models={"solver": str(solver)}, synthesize=None, label=label)
    run = promptcot.run(made, folder=tmp_path / "run")
    found = {row["basis"]: (row["value"], row["n"]) for row in run["label/validity"].to_pylist()}
    assert found == {"votes": (0.5, 2), "rules": (1.0, 2)}


def test_hashes_serve_in_place_of_texts(tmp_path, shell):
    held = evaluation(tmp_path / "held")
    done = shell("hash-texts", held, "--out", tmp_path / "held.parquet")
    assert done.out.strip() == str(tmp_path / "held.parquet")
    run = promptcot.run(judged(tmp_path / "a", [str(tmp_path / "held.parquet")]), folder=tmp_path / "run")
    assert texts(run["screen"]) == {TRAM, CARDS, HILL}
    [row] = run["screen/resemblances"].to_pylist()
    assert (row["theirs"], row["blocks"], row["benchmark"]) == ("", "[]", held)
    assert "lighthouse keeper" in row["runs"][0]
    shell("hash-texts", held, "--out", tmp_path / "held.bin", code=2)


def test_a_file_is_screened_with_its_evidence_beside_it(tmp_path, shell):
    source = jsonl(tmp_path / "in.jsonl", [{"problem": TRAM}, {"problem": HELD.upper()}])
    shell("screen", "--in", source, "--out", tmp_path / "out.jsonl", "--against", evaluation(tmp_path / "held"))
    kept, dropped, evidence = ((tmp_path / f"out.jsonl{e}").read_text().splitlines() for e in ("", ".dropped.jsonl", ".evidence.jsonl"))
    assert (len(kept), len(dropped), len(evidence)) == (1, 1, 1)
    assert json.loads(evidence[0])["theirs"] == HELD


def test_other_evaluation_texts_are_screened_against_anew(tmp_path):
    held = evaluation(tmp_path / "held")
    made = judged(tmp_path / "a", [held])
    first = promptcot.run(made, folder=tmp_path / "run", until="screen")
    assert first["screen/resemblances"].num_rows == 1
    jsonl(tmp_path / "held" / "held.jsonl", [{"problem": CARDS}])
    again = promptcot.run(made, folder=tmp_path / "run", redo=["screen"])
    assert CARDS not in texts(again["screen"])


def test_a_judge_or_embedder_that_no_model_is_is_refused_before_any_stage(tmp_path):
    for screen, role in (({"judge": {}}, "judge"), ({"neighbors": 3}, "embedder")):
        with pytest.raises(UsageError, match=f"`{role}`"):
            promptcot.run(recipe(tmp_path / role, screen=screen), folder=tmp_path / f"run-{role}")


@pytest.mark.slow
def test_neighbors_by_a_real_embedder_are_reported_and_drop_nothing(tmp_path):
    problems = [TRAM, TRAM.replace("tram", "bus").replace("people", "passengers").replace("48", "90"), POND, CARDS]
    source = jsonl(tmp_path / "p.jsonl", [{"problem": text} for text in problems])
    models = {"embedder": "all-minilm-l6-v2"}
    seeds = [str(jsonl(tmp_path / "s.jsonl", [{"problem": HILL, "concepts": ["speed"]}, {"problem": HELD, "concepts": ["time"]}]))]
    made = recipe(
        tmp_path,
        inputs={"problems": [str(source)], "seeds": seeds},
        models=models,
        synthesize=None,
        screen={"neighbors": 10, "near_duplicate": 1.0},
    )
    run = promptcot.run(made, folder=tmp_path / "run")
    kept = {row["id"]: row["problem"] for row in run["screen"].to_pylist()}
    found = {kept[row["problem"]]: row for row in run["screen/neighbors"].to_pylist()}
    assert len(found) == len(kept) >= 2
    tram = [text for text in found if "get off" in text]
    assert len(tram) == 2
    assert kept[found[tram[0]]["nearest"]] == tram[1]
    assert found[tram[0]]["cosine"] > 0.6
    assert all(row["human"] for row in found.values())
