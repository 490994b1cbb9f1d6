"""What is measured of an arm, exactly: by enumeration of all z under p_theta, q_phi and the language itself.

Each measure is one value per held-out problem, kept in the arm's run folder as facts of a step whose key is the models' content, so a
second start of the study reads them back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.em_study import middle_models
from benchmarks.em_study.middle_arms import Start
from benchmarks.em_study.middle_language import LENGTH, read
from benchmarks.em_study.middle_models import log_sum_exp
from promptcot import bounds, heldout
from promptcot.durable import read_json
from promptcot.executors import Workplace
from promptcot.heldout import Pair
from promptcot.roles import Role
from promptcot.store import StepSpec

SCHEMA = 1
TOKENS = LENGTH + 1
"""|x| with its terminator."""
KS = (1, 2, 4, 8, 16, 32, 64)

Values = Mapping[str, list[float]]


def truth(s: Start) -> Values:
    """log p*(x|c), the entropy of q* and the share of q* on rationales without a detail."""
    log_joint = np.array([s.language.log_joint(*read(t)) for t in s.dev.rows])
    posterior = _normalized(log_joint)
    return _listed(log_p=log_sum_exp(log_joint), entropy=_entropy(posterior), short=(posterior * _short(s)).sum(axis=1))


def of_generator(place: Workplace, generator: Role, s: Start, *, with_rationale: bool) -> Values:
    """log p_theta(x|c), the mass of p_theta(z|c) on rationales of the language, its share without a detail, and log p(x|z,c) under the
    posterior of p_theta less the same under its prior: how much p makes of z."""

    def measure() -> Values:
        if not with_rationale:
            return _listed(log_p=middle_models.log_marginal(generator, s.dev.rows))
        terms = middle_models.log_p(generator, s.dev.rows, s.language.texts)
        prior, joint = np.exp(terms[..., 0]), terms.sum(axis=-1)
        mass, own = prior.sum(axis=1), (_normalized(joint) * terms[..., 1]).sum(axis=1)
        other = (prior * terms[..., 1]).sum(axis=1) / mass
        return _listed(log_p=log_sum_exp(joint), mass=mass, short=(prior * _short(s)).sum(axis=1) / mass, uses=own - other)

    return _kept(place, "measure/p", {"generator": generator.digest, "dev": s.dev.digest, "rationale": str(with_rationale)}, measure)


def of_posterior(place: Workplace, posterior: Role, s: Start) -> Values:
    """KL(q* || q_phi) in nats a problem, the entropy of q_phi, its share without a detail and its mass on rationales of the language."""

    def measure() -> Values:
        log_joint = np.array([s.language.log_joint(*read(t)) for t in s.dev.rows])
        true, log_q = _normalized(log_joint), middle_models.log_q(posterior, s.dev.rows, s.language.texts)
        kl = (true * (np.log(np.maximum(true, 1e-300)) - log_q)).sum(axis=1)
        q = _normalized(log_q)
        return _listed(kl=kl, entropy=_entropy(q), short=(q * _short(s)).sum(axis=1), mass=np.exp(log_q).sum(axis=1))

    return _kept(place, "measure/q", {"posterior": posterior.digest, "dev": s.dev.digest}, measure)


def iwae(place: Workplace, s: Start, first: Pair, last: Pair) -> Mapping[str, list[float]]:
    """IWAE-K of the last generator by problem, K in `KS`, keys `mixture K` and `prior K`: under the equal mixture of both posteriors (the
    package's own comparison), and with z from p_theta(z|c) itself (drawn from its enumeration)."""
    compared = heldout.compare(place, s.size.rounds, 0, first, last, s.dev, k=max(KS), max_tokens=s.size.em.sample.max_tokens, seed=s.seed)

    def measure() -> Values:
        rows = {row.parents[0]: bounds.log_weights(row, "new") for row in compared.table.rows}
        terms, rng = middle_models.log_p(last.generator, s.dev.rows, s.language.texts), np.random.default_rng(s.seed)
        found: dict[str, list[float]] = {f"{name} {k}": [] for name in ("mixture", "prior") for k in KS}
        for triple, row in zip(s.dev.rows, terms, strict=True):
            prior = np.exp(row[:, 0])
            drawn = row[rng.choice(len(row), size=max(KS), p=prior / prior.sum()), 1] + np.log(prior.sum())
            for k in KS:
                found[f"prior {k}"].append(bounds.iwae(drawn, k))
                found[f"mixture {k}"].append(bounds.iwae(rows[triple.id], k) if triple.id in rows else float("nan"))
        return found

    return _kept(place, "measure/iwae", {"bound": compared.table.digest, "generator": last.generator.digest}, measure)


def effort(role: Role) -> Mapping[str, float]:
    """Steps, scored tokens, all tokens and seconds of the fit that made a role, from its manifest."""
    info = read_json(role.path.parent / "manifest.json", "delete the arm's folder to run it again")["info"]
    return {name: float(info[name]) for name in ("steps", "examples", "tokens", "total_tokens", "seconds")}


def _kept(place: Workplace, name: str, inputs: Mapping[str, str], measure: Callable[[], Values]) -> Values:
    def make(folder: Path) -> tuple[str, Mapping[str, Any]]:
        started = time.monotonic()
        return name, {"values": measure(), "seconds": time.monotonic() - started}

    values: Values = place.artifact(StepSpec(name, None, SCHEMA, {}, inputs), make).info["values"]
    return values


def _short(s: Start) -> np.ndarray:
    return np.array([detail == 0 for _, _, detail in s.language.rationales])


def _normalized(logs: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(logs - log_sum_exp(logs)[:, None]))


def _entropy(p: np.ndarray) -> np.ndarray:
    return np.asarray(-(p * np.log(np.maximum(p, 1e-300))).sum(axis=1))


def _listed(**values: np.ndarray) -> dict[str, list[float]]:
    return {name: [float(v) for v in array] for name, array in values.items()}
