"""Evaluation text in training problems: n-grams that both share, whole copies, near copies, and copies with other numbers.

| rule | two texts touch when | drops |
|---|---|---|
| `whole` | their normal forms are equal | yes |
| `ngram` | they share a run of n words (PromptCoT 2.0: n = 13); a text of 8 to n - 1 words counts as one run | yes |
| `near` | the Jaccard similarity of their word 5-grams reaches the threshold | yes |
| `renumbered` | they share a run of n words in which numbers count as equal, 8 of them no numbers | yes |
| `short` | they share a run of 8 words, and one of them has fewer than 50 | no: reported |

Texts of one format share its phrases. A run of 5 words, numbers masked, that `frequent` texts or more have (of the evaluation sets and of
those given to `learn`, near copies counting as one) is a phrase, and a shared run of which half or more is phrases is no leak. Only hashes
are needed (`HashedTexts`): they can be written to a file and shared without the texts. Reflowed, re-cased and re-punctuated copies are
found; paraphrases and copies with a word changed in every run of n are not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from promptcot.duplicates import components, near_pairs
from promptcot.hashed_texts import PHRASE_WORDS, SHORT_TEXT, SHORTEST_RUN, Hashed, HashedTexts, Rule, joined, renumbered
from promptcot.shingles import BATCH, Grams, Hashes, Places, Shingles, Worded, text_key
from promptcot.words import words

FREQUENT = 3
"""Texts that have a run of five words, from which it is a phrase."""
NEAR = 0.7
MOST = 3
"""Evaluation texts that are reported for one problem."""


STRENGTH = {rule: place for place, rule in enumerate(Rule)}


@dataclass(frozen=True, slots=True)
class Contact:
    """A text touches text number `text` of the evaluation set `name`: `runs` are what they share, in the order of the text.

    `similarity` is the Jaccard similarity for the rule `near`, NaN for others."""

    rule: Rule
    name: str
    text: int
    runs: tuple[str, ...] = ()
    similarity: float = float("nan")

    @property
    def decisive(self) -> bool:
        """Whether a problem goes for it."""
        return self.rule is not Rule.SHORT


@dataclass(slots=True)
class NgramIndex:
    """Evaluation sets that texts are held against. `near`: that rule's threshold; `frequent`: what makes a phrase (0: nothing)."""

    n: int = 13
    near: float = NEAR
    frequent: int = FREQUENT
    sets: list[HashedTexts] = field(default_factory=list)
    _corpus: list[Sequence[str]] = field(default_factory=list)
    _built: _Built | None = None

    def add(self, name: str, texts: Sequence[str]) -> None:
        """Hold texts against these, too."""
        self.put(HashedTexts.of(name, texts, self.n))

    def put(self, hashed: HashedTexts) -> None:
        """The same for a set that is hashed already."""
        self.sets.append(hashed)
        self._built = None

    def learn(self, texts: Sequence[str]) -> None:
        """Count the runs of a corpus of human texts, too, when phrases are told from leaks."""
        self._corpus.append(texts)
        self._built = None

    def contacts(self, texts: Sequence[str]) -> list[list[Contact]]:
        """For each text the evaluation texts that it touches, each by the strongest rule, at most `MOST`, the strongest first."""
        built, found = self._index(), list[list[Contact]]()
        for i in range(0, len(texts), BATCH):
            found += built.contacts(Worded.of(texts[i : i + BATCH]))
        return found

    def phrases(self) -> int:
        """How many runs of five words were learned to be phrases."""
        return len(self._index().phrases)

    def _index(self) -> _Built:
        if self._built is None:
            self._built = _Built.of(self)
        return self._built


@dataclass(frozen=True, slots=True)
class _Built:
    """All sets in one: their texts are numbered through, `first[s]` is the first of set s."""

    names: tuple[str, ...]
    first: Places
    tables: Mapping[Rule, Hashed]
    sets: Shingles
    short: frozenset[int]
    lengths: tuple[int, ...]
    n: int
    near: float
    phrases: Hashes

    @classmethod
    def of(cls, index: NgramIndex) -> _Built:
        counts = [s.count for s in index.sets]
        first = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
        tables = {
            rule: joined([Hashed(s.tables[rule].hashes, s.tables[rule].texts + first[k]) for k, s in enumerate(index.sets)])
            for rule in Rule
        }
        near = tables[Rule.NEAR]
        order = np.lexsort((near.hashes, near.texts))
        sizes = np.bincount(near.texts, minlength=int(first[-1]))
        sets = Shingles(near.hashes[order], np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]))
        short = frozenset(int(first[k]) + i for k, s in enumerate(index.sets) for i in s.short)
        lengths = tuple(sorted({length for s in index.sets for length in s.lengths}))
        phrases = _phrases(tables[Rule.PHRASE], sets, index) if index.frequent else np.empty(0, np.uint64)
        return cls(tuple(s.name for s in index.sets), first, tables, sets, short, lengths, index.n, index.near, phrases)

    def contacts(self, worded: Worded) -> list[list[Contact]]:
        """For each of the texts what it touches."""
        begins: dict[tuple[int, int], dict[Rule, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        common = self._common(worded)
        for rule, length, grams in self._grams(worded):
            if length == self.n or rule is Rule.SHORT:  # not a whole text of fewer words
                grams = _rare(grams, common, worded, length)
            for ours, start, theirs in self.tables[rule].meets(grams):
                if rule is not Rule.SHORT or theirs in self.short or worded.lengths[ours] < SHORT_TEXT:
                    begins[ours, theirs][rule].append((start, length))
        similar = self._similar(worded)
        found: list[list[Contact]] = [[] for _ in worded.texts]
        for ours, theirs in {*begins, *similar}:
            rules = begins.get((ours, theirs), {})
            best = min([*rules, *([Rule.NEAR] if (ours, theirs) in similar else [])], key=STRENGTH.__getitem__)
            runs = merged(worded.words[ours], rules.get(best, ()))
            found[ours].append(self._contact(best, theirs, runs, similar.get((ours, theirs), float("nan"))))
        return [sorted(touching, key=lambda c: (STRENGTH[c.rule], -sum(map(len, c.runs)), c.name, c.text))[:MOST] for touching in found]

    def _contact(self, rule: Rule, theirs: int, runs: tuple[str, ...], similarity: float) -> Contact:
        which = int(np.searchsorted(self.first, theirs, side="right")) - 1
        return Contact(rule, self.names[which], theirs - int(self.first[which]), runs, similarity if rule is Rule.NEAR else float("nan"))

    def _grams(self, worded: Worded) -> Iterator[tuple[Rule, int, Grams]]:
        every = np.arange(len(worded.texts))
        yield Rule.WHOLE, 0, Grams(np.array([text_key(text) for text in worded.texts], np.uint64), every, np.zeros(len(every), np.int64))
        for length in self.lengths:
            yield Rule.NGRAM, length, worded.grams(length)
        yield Rule.RENUMBERED, self.n, renumbered(worded, self.n)
        yield Rule.SHORT, SHORTEST_RUN, worded.grams(SHORTEST_RUN)

    def _common(self, worded: Worded) -> Places:
        """How many of the words up to each begin a phrase [words + 1]."""
        grams = worded.masked().grams(PHRASE_WORDS)
        begins = np.zeros(len(worded.each) + 1, np.int64)
        begins[1 + worded.first[grams.owners] + grams.starts] = np.isin(grams.hashes, self.phrases)
        return np.cumsum(begins)

    def _similar(self, worded: Worded) -> dict[tuple[int, int], float]:
        a, b, similarity = near_pairs(worded.sets(5), self.sets, self.near)
        return {(x, y): s for x, y, s in zip(a.tolist(), b.tolist(), similarity.tolist(), strict=True)}


def _rare(grams: Grams, common: Places, worded: Worded, length: int) -> Grams:
    """The runs that are not made up of phrases: less than half of their runs of five words are."""
    at = worded.first[grams.owners] + grams.starts
    inside = length - PHRASE_WORDS + 1
    if inside < 1:
        return grams
    return grams.chosen(2 * (common[at + inside] - common[at]) < inside)


def _phrases(table: Hashed, sets: Shingles, index: NgramIndex) -> Hashes:
    """The runs of five words that so many evaluation and corpus texts have, near copies counting as one."""
    family = components(sets, NEAR)
    corpus = [text for texts in index._corpus for text in texts]
    of_corpus = len(sets) + components(Shingles.of(corpus), NEAR)
    parts = [Hashed(table.hashes, family[table.texts])]
    for k in range(0, len(corpus), BATCH):
        grams = Worded.of(corpus[k : k + BATCH]).masked().grams(PHRASE_WORDS)
        parts.append(Hashed(grams.hashes, of_corpus[k + grams.owners]))
    hashes, counts = np.unique(joined(parts).hashes, return_counts=True)
    return hashes[counts >= index.frequent]


def merged(tokens: Sequence[str], begins: Iterable[tuple[int, int]]) -> tuple[str, ...]:
    """The stretches of words that the runs (first word, length) cover; runs that overlap are one stretch."""
    stretches: list[list[int]] = []
    for start, length in sorted(begins):
        if not length:
            continue
        if stretches and start < stretches[-1][1]:
            stretches[-1][1] = max(stretches[-1][1], start + length)
        else:
            stretches.append([start, start + length])
    return tuple(" ".join(tokens[a:b]) for a, b in stretches)


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of `length` words of a text, by their words."""

    length: int
    runs: tuple[str, ...]


def runs_of(text: str, n: int) -> Runs | None:
    """A text's word n-grams; of fewer than n words, the whole text as one run. None below `SHORTEST_RUN` words (and n): as a run that would
    be found everywhere."""
    tokens = words(text)
    length = min(n, len(tokens))
    if length < min(n, SHORTEST_RUN):
        return None
    return Runs(length, tuple(dict.fromkeys(" ".join(tokens[i : i + length]) for i in range(len(tokens) - length + 1))))
