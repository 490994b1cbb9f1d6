"""The toy problem of the EM oracles: 3 concepts, 2 rationales, 4 problems, and where its numbers come from.

LL = sum N log p(x|c) / 48 in nats, N the counts below. p(x|z) is shared by all c; q0 is uniform. The numbers were derived by exact
EM in double precision, and by enumerating the multinomial of K draws for the selection rules.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from promptcot.em import Setting
from promptcot.engines.tabular import SymbolTokenizer, TabularModel
from promptcot.heldout import Pair
from promptcot.recipe import Em, EngineSpec, Training
from promptcot.records import Triple, record_id
from promptcot.roles import Role
from promptcot.templates import PLAIN
from promptcot.triples import Pool

COUNTS = np.array([[8, 4, 2, 2], [2, 6, 6, 2], [1, 1, 4, 10]])  # N[c, x]
Z_GIVEN_C = [[0.62, 0.38], [0.5, 0.5], [0.41, 0.59]]
X_GIVEN_Z = [[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]
TOKENIZER = SymbolTokenizer(("c0", "c1", "c2"), ("z0", "z1"), ("x0", "x1", "x2", "x3"))


def triples(repeat: int | None = 1) -> Pool:
    """Every (c, x): N times `repeat` triples of it, or a single one when `repeat` is None."""
    rows = [
        Triple(id=record_id("toy", (), r, f"{c}{x}"), family=f"{c}{x}", concepts=(f"c{c}",), level="", rationale=None, problem=f"x{x}")
        for c in range(3)
        for x in range(4)
        for r in range(int(COUNTS[c, x]) * repeat if repeat is not None else 1)
    ]
    return Pool(tuple(rows), f"toy-{repeat}")


def pair(folder: Path, *, sees_concepts: bool = False) -> Pair:
    """p0 and a uniform q0, written below `folder`."""
    x_table = {"x_given_cz": np.array([X_GIVEN_Z] * 3)} if sees_concepts else {"x_given_z": np.array(X_GIVEN_Z)}
    generator = TabularModel("generator", TOKENIZER, {"z_given_c": np.array(Z_GIVEN_C), **x_table})
    posterior = TabularModel("posterior", TOKENIZER, {"z_given_cx": np.full((3, 4, 2), 0.5)})
    roles = []
    for name, model in (("generator", generator), ("posterior", posterior)):
        (folder / name).mkdir(parents=True)
        model.save(folder / name)
        roles.append(Role(name, folder / name, f"toy-{name}", EngineSpec(kind="tabular"), PLAIN))
    return Pair(*roles)


def setting(em: Em, *, exact: bool = False, seed: int = 0) -> Setting:
    """The shared setting; leaks mean nothing among symbols."""
    return Setting(em.model_copy(update={"reject": em.reject.model_copy(update={"leak": 1.0, "overlap": 1.0})}), Training(), seed, exact)


def x_given_c(role: Role) -> np.ndarray:
    """p(x|c) [C, X] of a generator."""
    tables = TabularModel.load(role.path).tables
    if "x_given_cz" in tables:
        return np.asarray(np.einsum("cz,czx->cx", tables["z_given_c"], tables["x_given_cz"]))
    return np.asarray(tables["z_given_c"] @ tables["x_given_z"])


def log_likelihood(role: Role) -> float:
    """LL of a generator."""
    return float((COUNTS * np.log(x_given_c(role))).sum() / COUNTS.sum())


def entropy(role: Role) -> float:
    """The mean entropy of a posterior over the cells (c, x), in nats."""
    q = TabularModel.load(role.path).tables["z_given_cx"]
    h = -np.sum(np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0), axis=-1)
    return float(h.mean())


def renamed(pool: Pool, split: str) -> Pool:
    """The same triples in another split, with other ids."""
    return Pool(tuple(replace(t, id=record_id(split, (t.id,)), split=split) for t in pool.rows), f"{pool.digest}-{split}")
