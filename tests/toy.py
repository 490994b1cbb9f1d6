"""The toy problem of the EM oracles: 3 concepts, 2 rationales, 4 problems, and where its numbers come from.

LL = sum N log p(x|c) / 48 in nats, N the counts below. p(x|z) is shared by all c; q0 is uniform. The numbers were derived by exact
EM in double precision, and by enumerating the multinomial of K draws for the selection rules. Only LL and p(x|c) are identifiable.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from promptcot.em import Setting
from promptcot.engines.tabular import SymbolTokenizer, TabularModel
from promptcot.heldout import Pair
from promptcot.models import fingerprint
from promptcot.recipe import Em, EngineSpec, Training
from promptcot.records import Triple, record_id
from promptcot.roles import Role
from promptcot.templates import PLAIN, Template
from promptcot.triples import Pool

COUNTS = np.array([[8, 4, 2, 2], [2, 6, 6, 2], [1, 1, 4, 10]])  # N[c, x]
Z_GIVEN_C = [[0.62, 0.38], [0.5, 0.5], [0.41, 0.59]]
X_GIVEN_Z = [[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]
Z_GIVEN_C_STAR = [[0.860454, 0.139546], [0.778634, 0.221366], [0.045395, 0.954605]]  # the optimum that EM reaches from these, LL -1.216301
X_GIVEN_Z_STAR = [[0.373718, 0.369376, 0.237901, 0.019005], [0.044073, 0.049633, 0.265492, 0.640802]]
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
    x_table = {"x_given_cz": [X_GIVEN_Z] * 3} if sees_concepts else {"x_given_z": X_GIVEN_Z}
    return Pair(role(folder, "generator", z_given_c=Z_GIVEN_C, **x_table), role(folder, "posterior", z_given_cx=np.full((3, 4, 2), 0.5)))


def pair_at_optimum(folder: Path) -> Pair:
    """The p that EM ends at, with its exact posterior."""
    generator = role(folder, "generator", z_given_c=Z_GIVEN_C_STAR, x_given_z=X_GIVEN_Z_STAR)
    return Pair(generator, role(folder, "posterior", z_given_cx=responsibilities(generator)))


def role(folder: Path, name: str, *, tokenizer: SymbolTokenizer = TOKENIZER, template: Template = PLAIN, **tables: ArrayLike) -> Role:
    """A tabular `generator` or `posterior` written to `folder`/`name`."""
    (folder / name).mkdir(parents=True)
    TabularModel(name, tokenizer, {key: np.asarray(table, float) for key, table in tables.items()}).save(folder / name)
    return Role(name, folder / name, fingerprint(folder / name), EngineSpec(kind="tabular"), template)


def tables(role: Role) -> dict[str, np.ndarray]:
    """The tables of a role's model."""
    return TabularModel.load(role.path).tables


def joint(role: Role) -> np.ndarray:
    """p(z,x|c) [C, X, Z] of a generator."""
    of = tables(role)
    x_given_cz = of["x_given_cz"] if "x_given_cz" in of else np.array([of["x_given_z"]] * 3)
    return np.asarray(np.einsum("cz,czx->cxz", of["z_given_c"], x_given_cz))


def responsibilities(role: Role) -> np.ndarray:
    """The exact posterior p(z|c,x) [C, X, Z] of a generator."""
    both = joint(role)
    return np.asarray(both / both.sum(axis=-1, keepdims=True))


def cell(triple: Triple) -> tuple[int, int]:
    """The row and column (c, x) of a triple."""
    return int(triple.concepts[0][1:]), int(triple.problem[1:])


def setting(em: Em, *, exact: bool = False, seed: int = 0) -> Setting:
    """The shared setting; leaks mean nothing among symbols."""
    return Setting(em.model_copy(update={"reject": em.reject.model_copy(update={"leak": 1.0, "overlap": 1.0})}), Training(), seed, exact)


def x_given_c(role: Role) -> np.ndarray:
    """p(x|c) [C, X] of a generator."""
    return tables(role)["x_given_c"] if "x_given_c" in tables(role) else joint(role).sum(axis=-1)


def log_likelihood(role: Role) -> float:
    """LL of a generator."""
    return float((COUNTS * np.log(x_given_c(role))).sum() / COUNTS.sum())


def entropy(role: Role) -> float:
    """The mean entropy of a posterior over the cells (c, x), in nats."""
    q = tables(role)["z_given_cx"]
    h = -np.sum(np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0), axis=-1)
    return float(h.mean())


def annotated(pool: Pool) -> Pool:
    """The same triples with a rationale."""
    return Pool(tuple(replace(t, rationale="z0") for t in pool.rows), f"{pool.digest}-annotated")


def renamed(pool: Pool, split: str) -> Pool:
    """The same triples in another split, with other ids."""
    return Pool(tuple(replace(t, id=record_id(split, (t.id,)), split=split) for t in pool.rows), f"{pool.digest}-{split}")
