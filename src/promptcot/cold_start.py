"""Cold start: p0 and q0, fitted on the annotated triples of the training split; or, without a fit, with a few of them in the prompt.

What the ablation "without cold start" of PromptCoT 2.0 begins with is not stated; `shots` is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from promptcot.errors import UsageError
from promptcot.executors import Workplace
from promptcot.fitting import annotated_examples, fit_role
from promptcot.recipe import ColdStart, Training
from promptcot.records import Triple
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
    if settings.shots:
        shown = shots(train.rows, settings.shots)
        return replace(generator, shots=shown), replace(posterior, shots=shown)
    fitted = []
    for role in (generator, posterior):
        if role is posterior and not with_rationale:
            fitted.append(role)
            continue
        with role.open() as engine:
            examples = annotated_examples(role.name, train.rows, role.segmenter(engine), with_rationale=with_rationale)
        fitted.append(fit_role(place, f"cold_start/{role.name}", role, examples, settings, training, seed=seed))
    return fitted[0], fitted[1]


def shots(triples: Sequence[Triple], count: int) -> tuple[Triple, ...]:
    """The first annotated triples by id, each of another family. Raises `UsageError` when there are fewer."""
    by_family = {triple.family: triple for triple in sorted(triples, key=lambda t: t.id, reverse=True) if triple.rationale}
    chosen = sorted(by_family.values(), key=lambda t: t.id)[:count]
    if len(chosen) < count:
        raise UsageError(
            f"{count} triples are wanted in the prompt, but only {len(chosen)} families of training problems are annotated",
            where="cold_start.shots",
            remedy="lower it, or annotate more seeds",
        )
    return tuple(chosen)
