"""The arms of the middle tier: what is run for one seed of one language, through `cold_start`, `em` and `heldout` as they are.

All arms start from the same cold start (few annotated triples) and see the same (c, x); every fit has the same number of examples and of
optimizer steps. What they differ in is which rationale stands beside a problem. A setting of an arm is a change to `em:` of a recipe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.em_study import middle_models
from benchmarks.em_study.middle_language import Language
from promptcot import em
from promptcot.cold_start import cold_start
from promptcot.executors import LocalWorkplace, Workplace
from promptcot.fitting import annotated_examples, fit_role
from promptcot.heldout import Pair
from promptcot.recipe import ColdStart, Em, EngineSpec, Fit, Rule, Sample, Training
from promptcot.roles import Role
from promptcot.store import Run
from promptcot.triples import Pool

NO_DEV = Pool((), "none")


@dataclass(frozen=True)
class Size:
    """How much of everything. `train` includes the `annotated`; EM sees the rationales of none of them."""

    annotated: int = 192
    train: int = 2048
    dev: int = 24
    rounds: int = 2
    candidates: int = 4
    epochs: float = 1.0
    cold_epochs: float = 10.0
    lr: float = 2e-3
    em_lr: float = 1e-3
    batch: int = 16
    width: int = 128
    layers: int = 4

    @property
    def spec(self) -> EngineSpec:
        """How the models run: fp32, which is faster than bf16 at this size on a CPU."""
        return EngineSpec(dtype="fp32", device="cpu", batch_tokens=8192, batch_rows=512)

    @property
    def training(self) -> Training:
        """How they are fitted."""
        return Training(dtype="fp32", batch_tokens=8192)

    @property
    def em(self) -> Em:
        """What arms change."""
        fit = Fit(epochs=self.epochs, lr=self.em_lr, batch=self.batch)
        return Em(rounds=self.rounds, candidates=self.candidates, sample=Sample(max_tokens=8), fit=fit)


@dataclass(frozen=True)
class Arm:
    """A name and what it changes in `em:`.

    `kind`: `em`; `none` (the cold start itself); `continued` (its training goes on, on the annotated triples); `tempered_frozen` (EM whose
    q is q0 again in every round, with tempered weights, which the package refuses). `curve`: p is measured in every round, not only in the
    last."""

    name: str
    change: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "em"
    curve: bool = False

    @property
    def with_rationale(self) -> bool:
        """Whether its generator writes a rationale."""
        return self.change.get("rule") != Rule.NO_RATIONALE


CURVES = (Rule.SNIS, Rule.SHUFFLED, Rule.NO_RATIONALE)
RULES = tuple(
    Arm(rule.value, {"rule": rule}, curve=rule in CURVES)
    for rule in (Rule.SNIS, Rule.ARGMAX, Rule.PAPER, Rule.UNIFORM, Rule.FIXED, Rule.SHUFFLED, Rule.NO_RATIONALE)
)
COLD = Arm("cold", kind="none")
CONTINUED = Arm("continued", kind="continued")
GRID = (
    *(Arm(f"ess {share}", {"ess": share}) for share in (0.0, 0.25, 0.75)),
    Arm("frozen", {"freeze_posterior": True}),
    Arm("frozen, tempered", kind="tempered_frozen"),
    Arm("all", {"data": "all"}),
    *(Arm(f"K {k}", {"candidates": k}) for k in (2, 8, 16)),
)


@dataclass(frozen=True)
class Start:
    """What all arms of a seed share."""

    language: Language
    size: Size
    seed: int
    annotated: Pool
    train: Pool
    dev: Pool
    base: Path


def start(folder: Path, knob: float, seed: int, size: Size) -> Start:
    """The language, its data and the untrained model of a seed."""
    language = Language.drawn(seed, knob)
    train = language.triples(size.train, "train", annotated=size.annotated)
    name = f"middle/{knob}/{seed}/{size.train}/{size.annotated}"
    base = folder / f"base-{size.width}-{size.layers}"
    if not (base / "model.safetensors").is_file():
        middle_models.save_base(base, seed=seed, width=size.width, layers=size.layers)
    dev = Pool(language.triples(size.dev, "dev"), f"{name}/dev/{size.dev}")
    return Start(language, size, seed, Pool(train[: size.annotated], f"{name}/annotated"), Pool(train, name), dev, base)


@contextmanager
def workplace(folder: Path) -> Iterator[LocalWorkplace]:
    """A run folder that this process writes.

    All arms of a seed share one: a step's key is what it reads and its settings, so the cold start and the first round's candidates are
    computed once."""
    run = Run.create(folder, {"name": "middle tier of the EM study"})
    with run.writing():
        yield LocalWorkplace(run)


def cold(place: Workplace, s: Start, *, with_rationale: bool) -> Pair:
    """p0 and q0 (for a generator without rationales: p0 alone, q untrained)."""
    size = s.size
    settings = ColdStart(epochs=size.cold_epochs, lr=size.lr, batch=size.batch)
    roles = [middle_models.role(name, s.base, size.spec) for name in ("generator", "posterior")]
    p, q = cold_start(place, roles[0], roles[1], s.annotated, settings, size.training, seed=s.seed, with_rationale=with_rationale)
    return Pair(p, q)


def rounds(place: Workplace, arm: Arm, s: Start, first: Pair) -> list[Pair]:
    """The models of round 0 (the cold start) and of every round after it."""
    match arm.kind:
        case "none":
            return [first]
        case "continued":
            return _continued(place, s, first)
        case "tempered_frozen":
            return _tempered_frozen(place, s, first)
    settings = s.size.em.model_copy(update={**arm.change, "fit": _same_steps(s.size, arm)})
    done = em.run(place, first, s.train, NO_DEV, em.Setting(Em.model_validate(settings.model_dump()), s.size.training, s.seed))
    return [first, *(r.pair for r in done.rounds)]


def _same_steps(size: Size, arm: Arm) -> Fit:
    """`data: all` brings K texts a problem: a K-th of the epochs is as many steps."""
    share = size.candidates if arm.change.get("data") == "all" else 1
    return size.em.fit.model_copy(update={"epochs": size.epochs / share})


def _continued(place: Workplace, s: Start, first: Pair) -> list[Pair]:
    """Fits of p and q on the annotated triples, with as many steps a round as the other arms take."""
    epochs = s.size.epochs * s.size.train / s.size.annotated
    fit, pairs = s.size.em.fit.model_copy(update={"epochs": epochs}), [first]
    for number in range(1, s.size.rounds + 1):
        fitted = partial(_on_annotated, place, number, s, fit)
        pairs.append(Pair(fitted(pairs[-1].generator), fitted(pairs[-1].posterior)))
    return pairs


def _on_annotated(place: Workplace, number: int, s: Start, fit: Fit, which: Role) -> Role:
    with which.open() as engine:
        examples = annotated_examples(which.name, s.annotated.rows, which.segmenter(engine))
    return fit_role(place, f"continued/{number}/{which.name}", which, examples, fit, s.size.training, seed=s.seed + number)


def _tempered_frozen(place: Workplace, s: Start, first: Pair) -> list[Pair]:
    """Rounds of `snis` whose fitted q is thrown away."""
    setting, pairs, trained = em.Setting(s.size.em, s.size.training, s.seed), [first], em.Trained(first)
    for number in range(1, s.size.rounds + 1):
        trained = em.one_round(place, number, first, trained.pair, trained, s.train, setting)
        trained = replace(trained, pair=replace(trained.pair, posterior=first.posterior))
        pairs.append(trained.pair)
    return pairs
