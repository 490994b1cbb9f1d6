"""Near-duplicates side by side: this project, datasketch doing the same task, and the rule of the PromptCoT release.

    python -m benchmarks.screening [--rows 10000 100000] [--memory-gb 8] [--data DIR]

Every run is a process of its own: the same synthetic short problems (stretches of human ones, a third of the words drawn anew), of which a
tenth are edits of others. A *pair* is an edit whose word-5-gram Jaccard with its origin is 0.7 or more by
the definition; recall is the share of pairs whose two rows end up in one cluster, and *others* how many rows without a pair were called
duplicates. CPU seconds from texts to clusters; peak memory of the process less that of the texts.

datasketch: 128 permutations, 32 bands of 4, every candidate checked on the sets. The release's rule, written anew: a row goes when the
Jaccard of its set of words with that of a row kept before it exceeds 0.2, so what it removes depends on the order.

With `--data` (a folder with codeforces.jsonl, math500.jsonl, lcb_v5_statements.jsonl) also what each removes of distinct human problems.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from promptcot.duplicates import Forest, components
from promptcot.intervals import wilson
from promptcot.shingles import Shingles
from promptcot.words import words

THRESHOLD, LOOSE, N = 0.7, 0.2, 5
HUMAN = ("codeforces", "math500", "lcb_v5_statements")
Grams = set[tuple[str, ...]]


def grams(text: str) -> Grams:
    tokens = words(text)
    return {tuple(tokens[i : i + N]) for i in range(len(tokens) - N + 1)} or {tuple(tokens)}


def jaccard(a: set, b: set) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


# the rows


def corpus(rows: int, seed: int = 0) -> tuple[list[str], list[tuple[int, int]]]:
    """Texts, and which were made as edits (edit, origin)."""
    rng = random.Random(seed)
    lines = (resources.files("promptcot") / "starter" / "math.jsonl").read_text(encoding="utf-8").splitlines()
    pool = [w for line in lines for w in json.loads(line)["problem"].split()]
    texts, edits = list[str](), list[tuple[int, int]]()
    for i in range(rows):
        if i % 10 == 9:
            origin = rng.randrange(i)
            texts.append(edited(texts[origin], rng))
            edits.append((i, origin))
        else:
            size, start = rng.randint(15, 70), rng.randrange(len(pool) - 70)
            texts.append(" ".join(w if rng.random() > 0.33 else f"{rng.choice(pool)}" for w in pool[start : start + size]))
    return texts, edits


def edited(text: str, rng: random.Random) -> str:
    tokens = text.split()
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(tokens))
        tokens[at] = rng.choice([tokens[at].upper(), str(rng.randint(2, 999)), tokens[at] + " indeed"])
    return rng.choice([" ", "\n"]).join(tokens)


# the contestants: a cluster name for every row


def ours(texts: Sequence[str]) -> Sequence[int]:
    return components(Shingles.of(texts, N), THRESHOLD).tolist()


def datasketch_way(texts: Sequence[str]) -> Sequence[int]:
    from datasketch import MinHash, MinHashLSH

    lsh, forest, sets = MinHashLSH(params=(32, 4), num_perm=128), Forest(len(texts)), [grams(text) for text in texts]
    for i, own in enumerate(sets):
        sketch = MinHash(num_perm=128)
        sketch.update_batch([" ".join(gram).encode() for gram in own])
        for j in lsh.query(sketch):
            if jaccard(own, sets[j]) >= THRESHOLD:
                forest.union(i, j)
        lsh.insert(i, sketch)
    return forest.roots().tolist()


def release_rule(texts: Sequence[str]) -> Sequence[int]:
    """Each row is named by itself when it is kept, else by a row kept before it that is too similar."""
    known: dict[str, int] = {}
    holders: list[list[int]] = []
    kept, sizes, names = list[int](), list[int](), list[int]()
    for i, text in enumerate(texts):
        own = [known.setdefault(w, len(known)) for w in set(text.lower().split())]
        holders += [[] for _ in range(len(known) - len(holders))]
        shared = np.bincount([k for w in own for k in holders[w]], minlength=len(kept))
        similar = shared / np.maximum(np.array(sizes, int) + len(own) - shared, 1) if kept else np.zeros(0)
        if len(similar) and similar.max() > LOOSE:
            names.append(kept[int(similar.argmax())])
            continue
        names.append(i)
        for w in own:
            holders[w].append(len(kept))
        kept.append(i)
        sizes.append(len(own))
    return names


CONTESTANTS: dict[str, Callable[[Sequence[str]], Sequence[int]]] = {
    "promptcot": ours,
    "datasketch": datasketch_way,
    "release's rule": release_rule,
}


# measuring


def measure(name: str, rows: int) -> dict[str, object]:
    texts, edits = corpus(rows)
    pairs = [(a, b) for a, b in edits if jaccard(grams(texts[a]), grams(texts[b])) >= THRESHOLD]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = CONTESTANTS[name](texts)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    removed = {i for i, root in enumerate(found) if root != i}
    hits = sum(found[a] == found[b] for a, b in pairs)
    paired = {i for pair in pairs for i in pair}
    return {
        "seconds": seconds,
        "per_second": rows / seconds,
        "peak_mb": peak / 1024,
        "own_mb": (peak - before) / 1024,
        "recall": str(wilson(hits, len(pairs))),
        "others": len(removed - paired),
    }


def in_process(name: str, rows: int, memory_gb: float) -> str:
    code = (
        "import json,resource;from benchmarks.screening import measure;"
        f"resource.setrlimit(resource.RLIMIT_AS,({int(memory_gb * 2**30)},)*2);print(json.dumps(measure({name!r},{rows})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["killed"])[-1]
        return f"| {rows:,} | {name} | not done within {memory_gb:g} GB: {why[:60]} | | | | |"
    f = json.loads(done.stdout)
    return (
        f"| {rows:,} | {name} | {f['per_second']:,.0f} | {f['seconds']:,.1f} | {f['peak_mb']:,.0f} ({f['own_mb']:,.0f}) | {f['recall']} |"
        f" {f['others']} |"
    )


def human(folder: Path) -> Iterator[str]:
    for name in HUMAN:
        texts = [json.loads(line)["problem"] for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for way in ("promptcot", "release's rule"):
            gone = [sum(root != i for i, root in enumerate(CONTESTANTS[way](order))) for order in (texts, texts[::-1])]
            yield f"| {name} | {way} | {wilson(gone[0], len(texts))} | {gone[0]}, {gone[1]} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--ways", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS))
    parser.add_argument("--memory-gb", type=float, default=8.0)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    print("| rows | way | rows per CPU s | CPU s | peak MB (less the texts) | recall of planted pairs | others removed |\n|" + "---|" * 7)
    for rows in options.rows:
        for name in options.ways:
            print(in_process(name, rows, options.memory_gb), flush=True)
    if options.data:
        print("\n| human problems | way | share removed | rows removed in file order, reversed |\n|" + "---|" * 4)
        print("\n".join(human(options.data)))


if __name__ == "__main__":
    main()
