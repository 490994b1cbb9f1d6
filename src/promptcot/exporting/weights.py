"""The weights that a run has fitted last, copied with a card that says where they come from."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import promptcot.exporting.facts as run_facts
from promptcot import inspection, models
from promptcot.durable import aside, disk_errors, make_folder, publish, sync_tree
from promptcot.errors import UsageError
from promptcot.exporting.cards import model_card
from promptcot.exporting.dataset import require_empty, write_text
from promptcot.material import in_order
from promptcot.records import Health
from promptcot.roles import license_of
from promptcot.stages import active
from promptcot.store import Manifest, Run
from promptcot.tables import from_table

ROLES = ("student", "solver", "generator", "posterior")
"""What a run can fit, the last of its flow first."""
EVALUATED = {"student": "distilled", "solver": "self_played"}
"""What `evaluate.models` calls the fitted model of a role."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fit of a role: its step, where the weights lie, and the manifest."""

    step: str
    folder: Path
    manifest: Manifest

    @property
    def told(self) -> str:
        """What it was fitted on, in words."""
        info = self.manifest.info
        counted = ", ".join(f"{info[key]:,} {word}" for key, word in (("examples", "texts"), ("total_tokens", "tokens")) if key in info)
        settings = self.manifest.settings.get("fit", {})
        return f"{counted or 'not known'}; settings {', '.join(f'{key} {value}' for key, value in sorted(settings.items()))}"


def fits(run: Run, role: str) -> list[Fitted]:
    """The finished fits of a role that the run's recipe asks for, in the order they were made; of EM's rounds up to the best one: later
    ones were no better."""
    found, recipe = list[Fitted](), inspection.recipe_of(run)
    stages, best, rounds = active(recipe), _best_round(run), recipe.self_play.rounds if recipe.self_play else 0
    for step in inspection.steps(run):
        manifest = run.manifest(step.name)
        if step.name.rpartition("/")[2] != role or manifest is None or not manifest.files or step.name.split("/")[0] not in stages:
            continue
        if (round_ := re.fullmatch(r"(em|self_play)/(\d+)/\w+", step.name)) and int(round_[2]) > (best if round_[1] == "em" else rounds):
            continue
        found.append(Fitted(step.name, run.path / step.name / manifest.key / "artifact", manifest))
    return sorted(found, key=lambda fit: (stages.index(fit.step.split("/")[0]), in_order(fit.step)))


def _best_round(run: Run) -> int:
    """The best round of EM so far, 0 for the cold start."""
    em = inspection.recipe_of(run).em
    healths = [name for n in range(1, em.rounds + 1) if run.manifest(name := f"em/{n}/health") is not None] if em else []
    rows = [row for name in healths for row in from_table(inspection.table(run, name), Health)]
    return max((row.round for row in rows if row.is_best), default=0)


def export(run: Run, role: str | None, folder: Path) -> tuple[str, Path]:
    """Copy a role's last weights (by default those of the last role that was fitted) into a new or empty folder, with README.md beside
    them. The role, and where they came from. Raises `UsageError` where the run has fitted none."""
    here = {name: found for name in ROLES if (found := fits(run, name))}
    chosen = role or next(iter(here), None)
    if chosen is None or chosen not in here:
        known = f"fitted here: {', '.join(here)}" if here else "run `cold_start`, `em` or `distill` first"
        why = "; its rounds of EM were no better than the start" if any(name.startswith("em/") for name in run.steps()) else ""
        raise UsageError(f"the run has fitted no {chosen or 'model'} to export{why}", where=str(run.path), remedy=known)
    require_empty(folder)
    led = here[chosen]
    _copy(led[-1].folder, folder)
    write_text(folder / "README.md", _card(run, chosen, led))
    return chosen, led[-1].folder


def _card(run: Run, role: str, led: list[Fitted]) -> str:
    facts = run_facts.of_run(run)
    assert facts.recipe is not None
    recipe, name = facts.recipe, role
    if role == "student" and recipe.distill is not None and recipe.distill.student:
        name = recipe.distill.student
    if name not in recipe.models and role == "posterior":
        name = "generator"
    spec = recipe.model(name)
    alias = models.alias_of(str(spec.path))
    base = (str(spec.path), spec.revision or (alias.source if alias else ""), license_of(spec))
    return model_card(
        facts, role, base, [(fit.step, fit.told) for fit in led], EVALUATED.get(role, ""), beside=name, before=_lineage_of(str(spec.path))
    )


def _lineage_of(path: str) -> str:
    """What the card of a base says of where that came from, where the base is a folder that was exported before."""
    card = Path(path).expanduser() / "README.md"
    if not card.is_file():
        return ""
    found = re.search(r"^## Lineage\n(.*?)(?=^## |\Z)", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL | re.MULTILINE)
    return found[1].strip() if found else ""


def _copy(source: Path, folder: Path) -> None:
    make_folder(folder.parent)
    temporary = aside(folder)
    with disk_errors(folder):
        shutil.copytree(source, temporary)
        sync_tree(temporary)
        if folder.is_dir():
            folder.rmdir()
    publish(temporary, folder)
