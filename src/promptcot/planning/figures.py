"""The constants that a plan reckons with, each with its spread, unit and source.

    figures = Figures({"rationale_tokens": 400})
    figures["rationale_tokens"]    # Range(400, 400, 400), and remembered as used
    figures.used()                 # what the plan prints

Nothing else in `planning` holds a number that somebody could dispute. A source is a publication, a vendor's data sheet, a measurement
of this project, arithmetic, or an assumption; what a user gives or a probe measures takes its place.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from promptcot.errors import UsageError


@dataclass(frozen=True, slots=True)
class Range:
    """A number that is not known well. Sums and products go end by end: `low` is when all goes well, `high` when all goes badly."""

    low: float
    mid: float
    high: float

    @classmethod
    def exact(cls, value: float) -> Range:
        """A number that is known."""
        return cls(value, value, value)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.mid + other.mid, self.high + other.high)

    def __mul__(self, other: Range | float) -> Range:
        by = other if isinstance(other, Range) else Range.exact(other)
        return Range(self.low * by.low, self.mid * by.mid, self.high * by.high)

    def __truediv__(self, other: Range | float) -> Range:
        """Over a rate: the fewest at the highest rate, the most at the lowest."""
        by = other if isinstance(other, Range) else Range.exact(other)
        return Range(self.low / by.high, self.mid / by.mid, self.high / by.low)

    def at_most(self, other: Range | float) -> Range:
        """The smaller of two, end by end."""
        by = other if isinstance(other, Range) else Range.exact(other)
        return Range(min(self.low, by.low), min(self.mid, by.mid), min(self.high, by.high))

    def at_least(self, other: Range) -> Range:
        """The larger of two, end by end."""
        return Range(max(self.low, other.low), max(self.mid, other.mid), max(self.high, other.high))


ZERO = Range.exact(0.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """A named constant."""

    name: str
    value: Range
    unit: str
    source: str


_PLANNED = "planning figure of this project for PromptCoT 2.0 at scale (600-token rationales, 962 tokens a text)"
_DEMO = "measured here: the demo, 135M model, 2 CPU cores (LOG.md)"
_CPU = "measured here: busy cores to quiet ones, ragged batches to full ones (LOG.md)"
_VLLM = "vLLM: its default, and its log at start"

_TABLE: tuple[tuple[str, tuple[float, float, float], str, str], ...] = (
    # lengths, where no corpus can be tokenized
    ("condition_tokens", (70, 90, 120), "tokens", "assumption: instruction, 5 concepts of 8-12 tokens, level"),
    ("rationale_tokens", (520, 600, 800), "tokens, tags included", f"{_PLANNED}; spread: assumption"),
    ("problem_tokens", (260, 270, 370), "tokens, tags included", f"{_PLANNED}; spread: assumption"),
    (
        "characters_per_token",
        (3.5, 4.0, 4.5),
        "characters",
        "assumption: English with formulas; where rows are here but the tokenizer is not",
    ),
    ("concepts_reply_tokens", (150, 300, 500), "tokens", "assumption: a short thought, then a list"),
    ("annotation_prompt_tokens", (180, 230, 300), "tokens", "assumption: the two annotation prompts without the problem"),
    ("solving_prompt_tokens", (40, 60, 120), "tokens", "measured here: what a voter reads beside the problem, SmolLM2's chat template"),
    ("question_tokens", (60, 150, 600), "tokens", "assumption: a word problem, a contest problem, a programming statement"),
    ("solution_tokens", (200, 1500, 8000), "tokens", "assumption: an instruct model's solution to a reasoning model's; cut by max_tokens"),
    ("tests_prompt_tokens", (200, 240, 320), "tokens", "measured here: what a writer of tests reads beside the problem"),
    ("tests_reply_tokens", (200, 800, 4000), "tokens", "assumption: a few tests worked out, to a reasoning model's; cut by max_tokens"),
    # what models do
    ("draw_growth", (0.85, 1.0, 1.4), "sampled over annotated tokens", f"{_DEMO}; spread: assumption"),
    ("valid_share", (0.8, 0.9, 1.0), "share of draws", _DEMO),
    (
        "rescored_share",
        (0.0, 1.0, 1.0),
        "share of draws whose log q is scored again",
        "measured here: in bf16 the gap exceeds 0.3 nat a draw (LOG.md)",
    ),
    ("unusable_replies", (0.0, 0.1, 0.3), "share of an annotator's replies that are asked for again", "assumption"),
    ("kept_share", (0.4, 0.65, 1.0), "share of completions that are kept as problems", f"{_DEMO}; spread: assumption"),
    (
        "open_share",
        (0.0, 0.6, 1.0),
        "share of math problems whose first draws leave the vote open",
        "assumption: between none and all",
    ),
    ("labeled_share", (0.3, 0.7, 1.0), "share of problems that get a label", "assumption"),
    (
        "failed_share",
        (0.1, 0.4, 0.8),
        "share of a solver's attempts that are not right",
        "assumption: questions that are easy for it, to hard ones",
    ),
    (
        "pass_rate_concentration",
        (1, 1, 1),
        "a + b of the beta distribution of questions' pass rates",
        "assumption: most questions are nearly always or nearly never solved",
    ),
    ("usable_share", (0.6, 0.9, 1.0), "share of pairs, or right attempts, that are distinct and well formed", "assumption"),
    ("trace_share", (0.6, 0.9, 1.0), "share of a teacher's solutions that are kept", "assumption"),
    (
        "suite_tests",
        (1, 4, 16),
        "tests that a program is run on",
        "assumption: the first that fails ends it; 3 to 4 tests a problem in arXiv 2509.19894, 12 and more by `label.code`",
    ),
    ("tested_share", (0.5, 0.95, 1.0), "share of programming problems with a test that can be used", "assumption"),
    ("program_share", (0.5, 0.9, 1.0), "share of solutions that hold a program", "assumption"),
    (
        "mutant_tests",
        (0.1, 0.3, 1.0),
        "share of a suite that a mutant is run on",
        "assumption: between the first tests and all",
    ),
    # speed on accelerators
    (
        "decode_rate",
        (700, 1100, 2500),
        "tokens/s per H100 of a 32.8B dense model in bf16, many sequences",
        "planning figure of this project (1,100); spread: published vLLM benchmarks, 7B-32B; scaled by parameters and bandwidth",
    ),
    (
        "decode_ceiling",
        (8_000, 12_000, 20_000),
        "tokens/s per copy of a model",
        "assumption: a server's scheduler, whatever the model's size",
    ),
    ("stream_efficiency", (0.4, 0.6, 0.8), "share of memory bandwidth that one sequence's decoding reaches", "assumption"),
    ("prefill_efficiency", (0.25, 0.4, 0.6), "share of peak FLOP/s when reading or scoring", "assumption"),
    (
        "training_mfu",
        (0.25, 0.35, 0.45),
        "share of peak FLOP/s when training (model FLOPs)",
        "assumption: usual for dense models on one device",
    ),
    (
        "shared_fit",
        (0.5, 0.75, 0.9),
        "share of their speed that devices keep when they share a fit",
        "assumption: weights and gradients cross a fast link; between nodes less",
    ),
    ("eager_layer_ms", (0.5, 0.8, 1.2), "ms per layer and token of the transformers engine on an accelerator", "assumption: launch-bound"),
    # speed on a CPU; scaled by parameters and cores
    ("cpu_sample_rate", (60, 110, 180), "tokens/s of a 134.5M model on 2 cores", _CPU),
    ("cpu_score_rate", (300, 800, 1450), "tokens/s of a 134.5M model on 2 cores", _CPU),
    ("cpu_train_rate", (150, 350, 590), "tokens/s of a 134.5M model on 2 cores", _CPU),
    ("cpu_served_rate", (200, 300, 350), "tokens/s of a 134.5M model on 2 cores, served by vLLM", "measured here: 64 sequences"),
    # speed of services
    ("hosted_stream_rate", (20, 40, 80), "tokens/s written per request in flight", "assumption"),
    ("hosted_read_rate", (500, 2_000, 5_000), "tokens/s read per request in flight", "assumption"),
    # time that is not tokens
    (
        "program_run_s",
        (0.01, 0.06, 0.5),
        "s of a program on an input in the sandbox",
        "measured here: 8 ms in a shared sandbox, 58 ms in one of its own (docs/verification.md); slow programs: assumption",
    ),
    ("server_start_s", (60, 120, 300), "s per start of a server", "assumption: load, compile, capture graphs"),
    ("open_s", (1, 2, 5), "s to open a model in this process", "assumption"),
    ("file_rate", (0.3, 1.0, 2.0), "GB/s of weights read or written", "assumption: a local disk"),
    # memory
    ("train_state_bytes", (16, 16, 16), "bytes/parameter", "arithmetic: fp32 weights 4, gradients 4, AdamW moments 8"),
    ("autocast_bytes", (2, 2, 2), "bytes/parameter", "arithmetic: the bf16 copies that autocast keeps during a step"),
    ("frozen_bytes", (4, 4, 4), "bytes/parameter", "arithmetic: LoRA's frozen weights, which this version loads in fp32"),
    (
        "activation_bytes",
        (34, 50, 70),
        "bytes/(token x hidden x layer), nothing recomputed",
        "arXiv 2205.05198: 34 with fused attention; gated MLP and fp32 norms: more",
    ),
    ("checkpoint_bytes", (2, 2, 4), "bytes/(token x hidden x layer), gradient checkpointing", "arXiv 2205.05198: a layer's input"),
    (
        "logit_bytes",
        (4, 4, 4),
        "bytes/(token x vocabulary) of a forward pass",
        "arithmetic: bf16 logits and their gradient, all tokens scored",
    ),
    (
        "gathered_bytes",
        (4, 6, 8),
        "bytes/parameter of a layer that a sharded fit holds whole",
        "arithmetic: bf16 weights 2 and gradients 2, up to 4 for the fp32 sum of gradients",
    ),
    ("gathered_layers", (2, 3, 4), "layers that a sharded fit holds whole at once", "assumption: one at work, the next one gathered ahead"),
    ("served_share", (0.9, 0.9, 0.9), "share of an accelerator's memory that a server takes", _VLLM),
    ("working_gb", (1, 3, 5), "GB", f"{_VLLM}: activations and CUDA graphs; libraries"),
    # disk
    ("saved_bytes", (4, 4, 4), "bytes/parameter", "arithmetic: fitted models are saved in fp32"),
    ("table_bytes", (3, 6, 10), "bytes/token of a stored text, its ids and its scores", "assumption: zstd parquet"),
)

FIGURES: Mapping[str, Figure] = {name: Figure(name, Range(*value), unit, source) for name, value, unit, source in _TABLE}
"""Every constant by name."""

PRICE = Figure("usd_per_gpu_hour", ZERO, "US dollars per hour and GPU", "not given")
"""Has no default: without it a plan has no price for machines."""


class Figures:
    """The constants of one plan, with what was given or measured in place of the defaults, and a record of which were used."""

    def __init__(self, given: Mapping[str, float] | None = None) -> None:
        self._known = {**FIGURES, PRICE.name: PRICE}
        self._used: dict[str, Figure] = {}
        for name, value in (given or {}).items():
            if name not in self._known:
                near = difflib.get_close_matches(name, self._known, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(sorted(self._known))}"
                raise UsageError(f"no planning figure `{name}`", where="figures", remedy=hint)
            if not value >= 0:
                raise UsageError(f"`{value}` is no value for a planning figure", where=f"figures.{name}", remedy="a number, not negative")
            self._known[name] = replace(self._known[name], value=Range.exact(value), source="given")

    def __getitem__(self, name: str) -> Range:
        figure = self._known[name]
        self._used[name] = figure
        return figure.value

    @property
    def price(self) -> Range | None:
        """Dollars per GPU-hour, where they were given."""
        return None if self._known[PRICE.name].source == PRICE.source else self[PRICE.name]

    def note(self, figure: Figure) -> Range:
        """A figure from elsewhere (a data sheet, a model's config, a probe) that belongs to what was used."""
        self._used[figure.name] = figure
        return figure.value

    def used(self) -> list[Figure]:
        """Every figure read so far, in the order of their first use."""
        return list(self._used.values())
