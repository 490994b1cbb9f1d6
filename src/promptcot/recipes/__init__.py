"""Whole experiments, and how a recipe is read: `load` merges `extends` (maps merge, lists replace) and `--set key=value`.

An unknown key is an error that names the nearest known one. The YAML files beside this one ship with the package.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from promptcot.errors import UsageError
from promptcot.recipe import Recipe


def builtin_recipes() -> list[str]:
    """Names of the recipes shipped in the package."""
    folder = resources.files("promptcot") / "recipes"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by path or shipped name, with `key.path=value` overrides. Raises `UsageError` with file, key and remedy."""
    return validate(overridden(_read(str(name), ()), overrides), str(name))


def overridden(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A merged mapping with `key.path=value` overrides; `data` stays as it is. Raises `UsageError`."""
    copy = deepcopy(dict(data))
    for text in overrides:
        _override(copy, text)
    return copy


def validate(data: Mapping[str, Any], where: str) -> Recipe:
    """Check a merged mapping. Raises `UsageError`."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise UsageError("the recipe is not valid", where=where, remedy="; ".join(_explain(e) for e in error.errors())) from None


def _read(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    if name in seen:
        raise UsageError(f"recipes extend each other in a circle: {' -> '.join((*seen, name))}", where=name)
    path = Path(name)
    if path.is_file():
        text = path.read_text(encoding="utf-8")
    elif name in builtin_recipes():
        text = (resources.files("promptcot") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        near = difflib.get_close_matches(name, builtin_recipes(), n=1)
        raise UsageError(
            f"no recipe `{name}`",
            where=name,
            remedy=f"a path, or one of: {', '.join(builtin_recipes())}" + (f" (did you mean {near[0]}?)" if near else ""),
        )
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"not YAML: {error}", where=name) from None
    if not isinstance(data, dict):
        raise UsageError("a recipe is a map of sections", where=name, remedy="start with `schema: 1`")
    parent = data.pop("extends", None)
    if parent is None:
        return data
    beside = path.parent / str(parent)
    return merge(_read(str(beside if path.is_file() and beside.is_file() else parent), (*seen, name)), data)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` over `below`: maps merge, everything else replaces."""
    out = dict(below)
    for key, value in above.items():
        old = out.get(key)
        out[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def _override(data: dict[str, Any], text: str) -> None:
    key, eq, value = text.partition("=")
    if not eq or not key:
        raise UsageError(f"`{text}` is not key=value", where="--set", remedy="for example --set em.rounds=2")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"`{value}` is not YAML: {error}", where=f"--set {key}") from None
    *path, last = key.split(".")
    node: Any = data
    for part in path:
        node = _enter(node, part, key)
    node[last if isinstance(node, dict) else _place(node, last, key)] = parsed


def _enter(node: Any, part: str, key: str) -> Any:
    """The section or list below `node`; an absent section begins empty."""
    found = node.get(part) if isinstance(node, dict) else node[_place(node, part, key)]
    if found is None and isinstance(node, dict):
        found = node[part] = {}
    if not isinstance(found, dict | list):
        raise UsageError(f"`{key}` does not lead anywhere: `{part}` is {found!r}, not a section", where="--set")
    return found


def _place(node: list[Any], part: str, key: str) -> int:
    if not re.fullmatch("[0-9]+", part) or int(part) >= len(node):
        raise UsageError(f"`{key}` does not lead anywhere: `{part}` stands for one of {len(node)} entries, counted from 0", where="--set")
    return int(part)


def _explain(error: Any) -> str:
    path = [str(part) for part in error["loc"]]
    if error["type"] != "extra_forbidden":
        return ": ".join(filter(None, [".".join(path), error["msg"].removeprefix("Value error, ")]))
    known = _known_keys(path[:-1])
    near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
    return f"{'.'.join(path)}: unknown key; {hint}"


def _known_keys(path: Sequence[str]) -> list[str]:
    model: Any = Recipe
    for part in path:
        if part.isdigit():
            continue
        field = next((f for name, f in getattr(model, "model_fields", {}).items() if (f.alias or name) == part), None)
        if field is None:
            continue
        model = next((t for t in _models_in(field.annotation)), model)
    return sorted(f.alias or name for name, f in model.model_fields.items())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in getattr(annotation, "__args__", ()) for m in _models_in(arg)]
