"""Writes docs/recipe.md, the reference of every recipe key, from the docstrings in `promptcot.recipe`.

python tools/recipe_docs.py
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import BaseMetadata
from pydantic.fields import FieldInfo

from promptcot.recipe import Recipe, Strict

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipe.md"

HEAD = """# The recipe

<!-- Written by tools/recipe_docs.py from the docstrings in src/promptcot/recipe/. -->

A recipe is one YAML file that says a whole experiment. A stage runs when its section is present. `extends: NAME` puts a recipe over
another one (maps merge, everything else replaces), `--set key.path=value` overrides one key (entries of a list count from 0:
`--set inputs.seeds.0.rows=40`), and an unknown key is an error that names the nearest known one.

`promptcot demo` runs this one:

```yaml
{demo}```
"""


def page() -> str:
    """The whole page."""
    demo = (PAGE.parent.parent / "src" / "promptcot" / "recipes" / "demo.yaml").read_text(encoding="utf-8")
    return HEAD.format(demo=demo) + "".join(_section(section, paths) for section, paths in all_sections().items())


def all_sections() -> dict[type[Strict], list[str]]:
    """The classes of the recipe's sections, each with the keys that hold one."""
    found: dict[type[Strict], list[str]] = {}
    for path, section in _entries():
        found.setdefault(section, []).append(path)
    return found


def _entries(section: type[Strict] = Recipe, path: str = "") -> Iterator[tuple[str, type[Strict]]]:
    yield path, section
    for name, field in section.model_fields.items():
        for below in sections_of(field.annotation):
            place = f"{path}.{_key(name, field)}".lstrip(".")
            yield from _entries(below, f"{place}.NAME" if _is_map(field.annotation) else place)


def sections_of(annotation: Any) -> list[type[Strict]]:
    """The sections that a field's type holds, bare, optional, listed or by name."""
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [section for inner in get_args(annotation) for section in sections_of(inner)]


def _section(section: type[Strict], paths: list[str]) -> str:
    title = "## Top level" if paths == [""] else "## " + ", ".join(f"`{path}`" for path in paths)
    rows = "".join(_row(name, field) for name, field in section.model_fields.items())
    about = " ".join((section.__doc__ or "").split())
    return f"\n{title}\n\n{about}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}"


def _row(name: str, field: FieldInfo) -> str:
    about = " ".join(f"{field.description} {_words(field.annotation)}".split()).replace("|", "\\|")
    return f"| `{_key(name, field)}` | {_value(field)} | {_default(field)} | {about} |\n"


def _key(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _value(field: FieldInfo) -> str:
    limits = " ".join(text for limit in field.metadata if (text := _limit(limit)))
    return " ".join(filter(None, (_type(field.annotation), limits)))


def _limit(limit: BaseMetadata) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    return next((f"{sign} {getattr(limit, name):g}" for name, sign in signs.items() if hasattr(limit, name)), "")


def _type(annotation: Any) -> str:
    if annotation is type(None):
        return ""
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{value}`" for value in annotation)
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return "section"
    if get_origin(annotation) in (types.UnionType, typing.Union):
        return ", ".join(filter(None, map(_type, get_args(annotation))))
    if get_origin(annotation) is list:
        return f"list of {_plural(_type(get_args(annotation)[0]))}"
    if get_origin(annotation) is tuple:
        return f"list of {' and '.join(map(_type, get_args(annotation)))}"
    if get_origin(annotation) is dict:
        return f"map of names to {_plural(_type(get_args(annotation)[1]))}"
    return {str: "text", int: "integer", float: "number", bool: "true or false"}[annotation]


def _plural(name: str) -> str:
    return name if name == "text" else f"{name}s"


def _words(annotation: Any) -> str:
    """What the members of an enumeration mean, from the comments beside them."""
    if not (isinstance(annotation, type) and issubclass(annotation, StrEnum)):
        return ""
    members = re.findall(r'= "(\w+)"  # (.*)', inspect.getsource(annotation))
    return "; ".join(f"`{value}`: {about}" for value, about in members) + "."


def _is_map(annotation: Any) -> bool:
    return get_origin(annotation) is dict


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Strict):
        value = ", ".join(f"{key}: {given}" for key, given in value.model_dump(exclude_unset=True).items())
    elif sections_of(field.annotation):
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if value is not None and text else ""


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
