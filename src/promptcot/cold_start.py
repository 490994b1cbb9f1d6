"""Cold start: p0 and q0, fitted on the annotated triples of the training split."""

from __future__ import annotations

from promptcot.executors import Workplace
from promptcot.fitting import annotated_examples, fit_role
from promptcot.recipe import ColdStart, Training
from promptcot.roles import Role
from promptcot.triples import Pool


def cold_start(
    place: Workplace,
    generator: Role,
    posterior: Role,
    train: Pool,
    settings: ColdStart,
    training: Training,
    *,
    seed: int,
    with_rationale: bool = True,
) -> tuple[Role, Role]:
    """p0(z, x | c) and q0(z | c, x). Without rationales (a control) only p0(x|c) is fitted, and q stays as it is."""
    fitted = []
    for role in (generator, posterior):
        if role is posterior and not with_rationale:
            fitted.append(role)
            continue
        with role.open() as engine:
            examples = annotated_examples(role.name, train.rows, role.segmenter(engine), with_rationale=with_rationale)
        fitted.append(fit_role(place, f"cold_start/{role.name}", role, examples, settings, training, seed=seed))
    return fitted[0], fitted[1]
