"""Golden results: whoever changes what a step computes must bump its SCHEMA, so that old run folders are not mistaken for new ones.

If this fails and the change is meant, bump the SCHEMA of the step's module and write the new line printed below into `GOLDEN`.
"""

import hashlib
import json

from promptcot import em, estep, handover, heldout, synthesis
from promptcot.executors import MemoryWorkplace
from promptcot.recipe import Bound, Em, Sample
from promptcot.records import ConceptSet
from promptcot.tables import as_dict
from tests import toy

GOLDEN = {
    "candidates": (2, "93e254655d0d8f1f"),
    "selections": (2, "905dad0737926226"),
    "health": (1, "a5d16256fa0f3c8a"),
    "problems": (1, "a480ff847b1e0304"),
}
SCHEMA = {"candidates": estep.SCHEMA, "selections": estep.SCHEMA, "health": em.SCHEMA, "problems": synthesis.SCHEMA}


def digest(rows) -> str:
    def plain(value):
        return round(value, 9) if isinstance(value, float) else [plain(v) for v in value] if isinstance(value, tuple | list) else value

    text = json.dumps([{k: plain(v) for k, v in as_dict(row).items()} for row in rows], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_the_same_input_gives_the_same_tables_or_another_schema(tmp_path):
    place, start, pool = MemoryWorkplace(tmp_path / "work"), toy.pair(tmp_path / "start"), toy.triples(2)
    setting = toy.setting(Em(rounds=1, candidates=4, bound=Bound(k=[1, 4]), check=4))
    draws = estep.draw(place, "draws", start.posterior, pool, setting.em, round=1, seed=0)
    candidates = estep.score(place, "candidates", start.generator, draws, pool, setting.em.reject).rows
    selections = estep.select(estep.groups(candidates, pool), setting.em, round=1, seed=0)
    result = em.run(place, start, pool, toy.renamed(toy.triples(None), "dev"), setting)
    sets = [ConceptSet(id=f"{n}", concepts=(f"c{n}",), level="") for n in range(3)]
    problems = synthesis.problems(place, "problems", start.generator, sets, "sets", sample=Sample(), passes=4, seed=0).rows
    tables = {"candidates": candidates, "selections": selections, "health": [r.health for r in result.rounds], "problems": problems}
    found = {name: (SCHEMA[name], digest(rows)) for name, rows in tables.items()}
    assert found == GOLDEN, f"new golden values: {found}"
    assert (handover.SCHEMA, heldout.SCHEMA) == (1, 2)  # part of `health`
