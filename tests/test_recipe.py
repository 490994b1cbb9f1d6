"""The recipe: strict keys, merging, overrides, and errors that lead to the key."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tools import recipe_docs

from promptcot.errors import UsageError
from promptcot.recipe import Recipe
from promptcot.recipes import builtin_recipes, load, merge, overridden, validate

BARE = {"schema": 1, "name": "bare", "inputs": {}}


def write(path, **content):
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", builtin_recipes())
def test_every_shipped_recipe_is_valid_and_survives_being_stored(name):
    recipe = load(name)
    assert recipe.name == name
    stored = recipe.model_dump(mode="json", by_alias=True)
    assert validate(yaml.safe_load(yaml.safe_dump(stored)), "stored") == recipe


def test_the_demo_is_shipped():
    assert "demo" in builtin_recipes()


# unknown and wrong keys


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scren": {}}, "scren: unknown key; did you mean `screen`?"),
        ({"em": {"canddates": 4}}, "em.canddates: unknown key; did you mean `candidates`?"),
        ({"em": {"bound": {"ks": [1]}}}, "em.bound.ks: unknown key; did you mean `k`?"),
        ({"inputs": {"seeds": [{"path": "x", "row": 3}]}}, "inputs.seeds.0.row: unknown key; did you mean `rows`?"),
        ({"models": {"base": {"paht": "x"}}}, "models.base.paht: unknown key; did you mean `path`?"),
        ({"engines": {"default": {"temperature": 1}}}, "engines.default.temperature: unknown key"),
        ({"screen": {"zzz": 1}}, "screen.zzz: unknown key; known here: against, judge, leak, near_duplicate, neighbors, ngram, phrases"),
        ({"em": {"rounds": -1}}, "em.rounds: "),
        ({"em": {"rule": "snips"}}, "em.rule: "),
        ({"schema": 2}, "schema: "),
        ({"domain": "physics"}, "domain: "),
        ({"models": {"generator": {"path": "a", "role": "b"}}}, "exactly one of `path` and `role`"),
        ({"models": {"generator": {"role": "base"}, "base": {"role": "generator"}}}, "is not a model with a path"),
        ({"models": {"generator": {"path": "a", "engine": "fast"}}}, "no engine named `fast`"),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_key(wrong, said):
    with pytest.raises(UsageError) as refused:
        validate({**BARE, **wrong}, "here.yaml")
    assert said in refused.value.remedy
    assert refused.value.where == "here.yaml"


def leaves(model=Recipe, path=()):
    """Every key of the recipe, as a path, through lists and maps of sections."""
    for name, field in model.model_fields.items():
        key = (*path, field.alias or name)
        yield key
        for below in recipe_docs.sections_of(field.annotation):
            between = () if field.annotation in (below, below | None) else ("0",) if "list" in str(field.annotation) else ("any",)
            yield from leaves(below, (*key, *between))


@pytest.mark.parametrize("path", list(leaves()), ids=".".join)
def test_a_letter_too_much_is_always_found_and_named(path):
    """Whatever else the section lacks, the typo is reported with the key that was meant."""
    *above, last = path
    data: Any = 1
    for part in (f"{last}q", *reversed(above)):
        data = [data] if part == "0" else {part: data}
    with pytest.raises(UsageError) as refused:
        validate({**BARE, **data}, "here")
    assert f"{'.'.join((*above, last))}q: unknown key; did you mean `{last}`?" in refused.value.remedy


# files


def test_a_child_merges_maps_and_replaces_lists(tmp_path):
    write(tmp_path / "parent.yaml", **BARE, screen={"ngram": 8, "against": ["a", "b"]}, seed=3)
    child = write(tmp_path / "child.yaml", extends="parent.yaml", name="child", screen={"against": ["c"]})
    recipe = load(child)
    assert (recipe.name, recipe.seed) == ("child", 3)
    assert recipe.screen is not None
    assert (recipe.screen.ngram, recipe.screen.against) == (8, ["c"])


def test_a_recipe_may_extend_a_shipped_one(tmp_path):
    child = load(write(tmp_path / "mine.yaml", extends="demo", name="mine", em={"rounds": 3}))
    demo = load("demo")
    assert child.em is not None
    assert demo.em is not None
    assert child.em == demo.em.model_copy(update={"rounds": 3})


@pytest.mark.parametrize(
    ("content", "said"),
    [("[1]", "a map of sections"), ("a: [", "not YAML"), ("", "a map of sections"), ("extends: nowhere\n", "no recipe `nowhere`")],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path, content, said):
    path = tmp_path / "r.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        load(path)


def test_recipes_that_extend_each_other_are_refused(tmp_path):
    write(tmp_path / "a.yaml", extends=str(tmp_path / "b.yaml"))
    with pytest.raises(UsageError, match="in a circle"):
        load(write(tmp_path / "b.yaml", extends=str(tmp_path / "a.yaml")))


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
MAPS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@given(MAPS, MAPS, MAPS)
def test_merging_is_associative_and_above_wins(low, middle, high):
    assert merge(merge(low, middle), high) == merge(low, merge(middle, high)) or _a_scalar_between(low, middle, high)
    assert merge(low, {}) == low
    assert merge({}, high) == high
    assert merge(high, high) == high


def _a_scalar_between(low, middle, high):
    """A scalar in the middle erases the map below it, but only when it is merged first."""
    return any(
        key in low
        and key in middle
        and key in high
        and isinstance(low[key], dict)
        and isinstance(high[key], dict)
        and (not isinstance(middle[key], dict) or _a_scalar_between(low[key], middle[key], high[key]))
        for key in {*low, *middle, *high}
    )


# overrides


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seed=7", {"seed": 7}),
        ("em.rounds=2", {"em": {"rounds": 2}}),
        ("em.bound={k: [1, 2]}", {"em": {"bound": {"k": [1, 2]}}}),
        ("inputs.seeds.0.rows=5", {"inputs": {"seeds": [{"path": "a", "rows": 5}, "b"]}}),
        ("inputs.seeds.1=c", {"inputs": {"seeds": [{"path": "a"}, "c"]}}),
        ("absent.key=x=y", {"absent": {"key": "x=y"}}),
        ("screen=", {"screen": None}),
    ],
)
def test_an_override_replaces_one_key(text, expected):
    data = {"inputs": {"seeds": [{"path": "a"}, "b"]}, "absent": None}
    copy = yaml.safe_load(yaml.safe_dump(data))
    assert overridden(data, [text]) == {**data, **expected}
    assert data == copy


@pytest.mark.parametrize(
    "text", ["seed", "=3", "seeds.9=x", "name.first=x", "seeds.0.rows=1", "seeds.first=x", "seeds.x.rows=1", "seed=[", "a."]
)
def test_an_override_that_leads_nowhere_is_refused(text):
    data = {"name": "n", "seeds": ["builtin:starter"]}
    if text == "a.":
        with pytest.raises(UsageError, match="unknown key"):
            validate(overridden(BARE, ["a.=1"]), "x")
        return
    with pytest.raises(UsageError, match="--set"):
        overridden(data, [text])


def test_the_last_override_wins():
    assert load("demo", ["seed=1", "seed=2"]).seed == 2


# models


def test_a_role_follows_its_reference():
    recipe = validate({**BARE, "models": {"base": "somewhere", "generator": {"role": "base"}}}, "x")
    assert recipe.model("generator").path == "somewhere"
    with pytest.raises(UsageError, match="no model has the role `judge`"):
        recipe.model("judge")


# the reference


def test_the_reference_of_the_recipe_is_up_to_date():
    assert recipe_docs.PAGE.read_text(encoding="utf-8") == recipe_docs.page(), "run python tools/recipe_docs.py"


def test_every_key_of_the_recipe_is_described():
    for section in recipe_docs.all_sections():
        assert section.__doc__
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"
