"""Runs inside the sandbox: a reference and an answer a line in, a score a line out, by reasoning-gym. Imports nothing of this package.

Some of its scorers evaluate what an answer says, which is why it runs nowhere else. Each answer is scored in a process of its own, so it
can spoil no other's score; the kernel ends one that uses more than `CPU_S` seconds.
"""

import json
import os
import resource
import sys
from typing import Any

CPU_S = 10
TUPLE, ITEMS = "tuple of", "items of"


def main() -> None:
    """Serve until the pipe closes."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    replies = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no reply
    import reasoning_gym

    families: dict[str, Any] = {}
    os.write(replies, b"ready\n")
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            family = _family(reasoning_gym, families, request["task"], request["config"])
            reply: dict[str, Any] = _apart(family, request["answer"], restored(request["entry"]))
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        os.write(replies, json.dumps({"id": request["id"], **reply}).encode() + b"\n")


def restored(value: Any) -> Any:
    """Tuples and dictionaries again, where JSON had marks for them."""
    if isinstance(value, list):
        return [restored(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {TUPLE}:
            return tuple(restored(item) for item in value[TUPLE])
        if value.keys() == {ITEMS}:
            return {restored(key): restored(item) for key, item in value[ITEMS]}
        return {key: restored(item) for key, item in value.items()}
    return value


def _family(library: Any, families: dict[str, Any], task: str, config: dict[str, Any]) -> Any:
    key = json.dumps([task, config], sort_keys=True)
    if key not in families:
        families[key] = library.create_dataset(task, **{"size": 1, **config})
    return families[key]


def _apart(family: Any, answer: str, entry: Any) -> dict[str, float]:
    """The score, by a child; 0 from one that raises, dies or is ended."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        os.write(theirs, repr(_score(family, answer, entry)).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read(64)
    os.waitpid(child, 0)
    try:
        return {"score": min(1.0, max(0.0, float(said)))}
    except ValueError:
        return {"score": 0.0}


def _score(family: Any, answer: str, entry: Any) -> float:
    try:
        return float(family.score_answer(answer, entry))
    except BaseException:  # noqa: BLE001  # a scorer's parser meets what a model wrote
        return 0.0


if __name__ == "__main__":
    main()
