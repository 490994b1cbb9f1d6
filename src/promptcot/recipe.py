"""The recipe: one YAML file that says a whole experiment, from laptop to cluster.

Here are its sections; `recipes` reads it. An unknown key is an error. A stage runs when its section is present. Field docstrings are
the reference that `docs/recipe.md` is generated from.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from promptcot.errors import UsageError

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")


class Strict(BaseModel):
    """A section of the recipe: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


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


class ModelSpec(Strict):
    """A model: exactly one of `path`, `role`."""

    path: str | None = None
    """A folder, a Hugging Face hub id, or an alias that `promptcot models` lists."""
    role: str | None = None
    """Take the model of another role."""
    revision: str | None = None
    """A hub revision; pin it for a result that can be repeated."""
    license: str = ""
    """Travels with every row the model writes."""
    engine: str = "default"
    """Which entry of `engines` runs it."""
    template: Literal["tagged", "plain"] = "tagged"
    """The words around c, z and x."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_origin(self) -> ModelSpec:
        if (self.path is None) == (self.role is None):
            raise ValueError("give exactly one of `path` and `role`")
        return self


class EngineSpec(Strict):
    """How a model is run."""

    kind: Literal["transformers", "tabular", "scripted", "openai", "vllm"] = "transformers"
    """Which engine: a language model in the hub's format, exact tables (`tabular.json`), canned replies (`script.json`), or a model behind
    the OpenAI API: `openai` at `urls`, `vllm` on servers that are started for it."""
    dtype: Literal["auto", "bf16", "fp32"] = "auto"
    """Number format of weights and activations; `auto` is bf16 on every device that computes in it."""
    device: str = "auto"
    """A torch device; `auto` takes an accelerator when there is one."""
    batch_tokens: int = Field(4096, gt=0)
    """Tokens in flight per forward pass when scoring, padding included."""
    batch_rows: int = Field(64, gt=0)
    """Sequences sampled side by side."""
    shard_rows: int | None = Field(None, gt=0)
    """Completions of `synthesize` that are committed together, and so what a kill can cost; batches form inside a shard. Default: 64 for
    `transformers`, a minute or two of a laptop and too few for a fast accelerator, and 2048 for the engines that cost nothing."""

    urls: list[str] = []
    """`openai`: where the servers of the model listen, up to and with `/v1`. Several are a pool: work goes to the least loaded."""
    model: str | None = None
    """`openai`: the served name. Default: the model's `path` where that is no folder, else the first name that the server lists. `{path}`
    stands for the folder of the weights, for a server that loads models by path: only such a one can take part in what is fitted here."""
    key_env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """`openai`: the environment variable that holds the API key. The key itself has no place in a recipe."""
    concurrency: int = Field(64, gt=0)
    """`openai`, `vllm`: requests in flight at each server, at most. The number in use halves when a server refuses or does not answer in
    time, and grows again while it answers."""
    requests_per_minute: float | None = Field(None, gt=0)
    """`openai`: how often the service may be asked, all `urls` together."""
    timeout_s: float = Field(600.0, gt=0)
    """`openai`, `vllm`: seconds until an unanswered request counts as failed."""
    retries: int = Field(6, ge=0)
    """`openai`, `vllm`: how often a request that failed for a passing reason is sent again, after ever longer waits."""
    endpoint: Literal["auto", "completions", "chat"] = "auto"
    """`openai`: `auto` sends conversations to `/chat/completions`, all else to `/completions`; `completions` renders conversations here,
    with the chat template of the model's folder; `chat` refuses what is no conversation."""
    scoring: Literal["auto", "prompt_logprobs", "echo", "none"] = "auto"
    """`openai`: how given text is scored: by `prompt_logprobs` (vLLM), by `echo` with `logprobs`, or not at all; `auto` tries both."""
    usd_per_million_in: float = Field(0.0, ge=0)
    """`openai`: price of a million prompt tokens in US dollars, so that a run can count its cost."""
    usd_per_million_out: float = Field(0.0, ge=0)
    """`openai`: price of a million completion tokens."""
    python: str | None = None
    """`vllm`: the interpreter of the environment that vLLM is installed in. Default: `PROMPTCOT_VLLM_PYTHON`, else the one that `make vllm`
    builds."""
    gpus: int = Field(1, gt=0)
    """`vllm`: accelerators that a server uses; without one it runs on the CPU."""
    tensor_parallel: int = Field(1, gt=0)
    """`vllm`: accelerators that share one copy of the weights, for a model that does not fit one; `gpus` over this is how many copies work
    side by side (data parallel)."""
    max_len: int | None = Field(None, gt=1)
    """`vllm`: the most tokens a sequence may have, prefix and continuation together. Default: the model's own context."""
    gpu_memory: float | None = Field(None, gt=0, le=1)
    """`vllm`: share of the accelerator's memory that a server takes, of main memory on a CPU. Default: vLLM's own; on a CPU, the weights
    and 4 GiB. Servers whose shares add up to at most 1 stay side by side; without it there is one at a time."""
    start_timeout_s: float = Field(900.0, gt=0)
    """`vllm`: seconds that a server may take until it answers."""
    extra_args: list[str] = []
    """`vllm`: further arguments of the server, as on its command line."""

    @field_validator("urls")
    @classmethod
    def _plain_urls(cls, urls: list[str]) -> list[str]:
        if not all(_URL.fullmatch(url) for url in urls):
            raise ValueError("a url is http(s)://HOST[:PORT]/v1, without user, password, query or key: a key goes through `key_env`")
        return [url.rstrip("/") for url in urls]

    @model_validator(mode="after")
    def _has_urls(self) -> EngineSpec:
        if self.kind == "openai" and not self.urls:
            raise ValueError("an engine of kind `openai` needs `urls`")
        return self

    @model_validator(mode="after")
    def _whole_copies(self) -> EngineSpec:
        if self.gpus % self.tensor_parallel:
            raise ValueError("`gpus` must be a multiple of `tensor_parallel`: so many share one copy of the weights")
        return self

    @property
    def served(self) -> bool:
        """Whether the model runs behind a server, so that an answer is paid for and kept one by one."""
        return self.kind in ("openai", "vllm")

    @property
    def width(self) -> int:
        """How many requests all servers together may have in flight."""
        return self.concurrency * max(1, len(self.urls))

    @property
    def committed_rows(self) -> int:
        """`shard_rows`, or its default."""
        return self.shard_rows or (64 if self.kind == "transformers" else 2048)


class Input(Strict):
    """Rows from outside."""

    path: str
    """`builtin:starter`, `champ`, `reasoning-gym:TASK`, a .jsonl or .parquet file, a folder, or a hub data set `hf:NAME`."""
    format: Literal["auto", "native", "numina", "codeforces", "champ", "promptcot"] = "auto"
    """Which fields to expect; `auto` decides by the first row."""
    fields: dict[str, str] = {}
    """Our field name -> theirs, over the format's own map."""
    rows: int | None = Field(None, gt=0)
    """At most so many rows, drawn by family and spread over it."""
    split: str | None = None
    """Put all rows in this split instead of 60/20/20 by family; or, for a hub data set, see `hub_split`."""
    hub_split: str = "train"
    """The split of a hub data set to read."""
    license: str | None = None
    """For rows that bring none."""
    source: str | None = None
    """For rows that bring none; default: the path."""
    domain: Literal["math", "code"] | None = None
    """For rows that bring none; default: the recipe's."""
    rationales: float = Field(1.0, ge=0, le=1)
    """Keep the rationale of this share of the training rows; the rest enter EM as (c, x)."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str) else value


class Inputs(Strict):
    """Where the run starts: rows given here take the place of the stage that would make them."""

    seeds: list[Input] = []
    """Human problems."""
    triples: list[Input] = []
    """Annotated seeds of your own."""
    concept_sets: list[Input] = []
    """Concepts and levels (or whole generator prompts) to synthesize from, instead of the sampler."""
    problems: list[Input] = []
    """Problems of your own, to be screened and what follows, instead of `synthesize`."""
    labels: list[Input] = []
    """Labels of your own."""
    attempts: list[Input] = []
    """Attempts of your own."""


class Sample(Strict):
    """How a stage samples."""

    temperature: float = Field(1.0, ge=0)
    """Softmax temperature; 0 is greedy."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus."""
    max_tokens: int = Field(256, gt=0)
    """Longest completion."""


class Fit(Strict):
    """How a stage fits weights."""

    epochs: float = Field(1.0, gt=0)
    """Passes over the examples."""
    lr: float = Field(2e-5, gt=0)
    """Peak learning rate of AdamW."""
    batch: int = Field(16, gt=0)
    """Examples per optimizer step, over all devices."""
    warmup: float = Field(0.1, ge=0, le=1)
    """Share of the steps that ramp up."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """What the learning rate does after."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay."""
    replay: float = Field(0.0, ge=0)
    """EM only: annotated triples added to each fit, as a share of the selected ones."""


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
    levels: list[str] = []
    """Levels to draw from; empty: those of the training triples, by frequency."""
    passes: int = Field(1, gt=0)
    """Completions per concept set."""
    sample: Sample = Sample(temperature=0.8, max_tokens=512)
    """How p samples."""


class Screen(Strict):
    """Which synthesized problems are kept."""

    near_duplicate: float = Field(0.7, gt=0, le=1)
    """Word-5-gram Jaccard from which two problems are one, seeds included."""
    ngram: int = Field(13, gt=1)
    """Length of a shared word n-gram that means contamination."""
    against: list[str] = []
    """Evaluation sets: `human-eval` or JSONL files."""
    leak: float = Field(0.2, ge=0, le=1)
    """Largest share of the problem's 8-grams in its own rationale."""


class Gates(Strict):
    """Minima and maxima that stop a run early, with examples."""

    format_rate: float = Field(0.3, ge=0, le=1)
    """Least share of completions of p0 that parse, before EM."""
    copy_rate: float = Field(0.5, ge=0, le=1)
    """Largest share of p0's problems with a 13-word run of a training problem."""
    concept_coverage: float = Field(0.3, ge=0, le=1)
    """Least share of p0's problems that use one of their concepts."""
    length_ratio: float = Field(0.3, ge=0, le=1)
    """Least ratio of p0's median problem length to the seeds' (and most: one over it)."""
    probe: int = Field(16, gt=0)
    """How many completions the gates look at."""
    error_rate: float = Field(0.2, ge=0, le=1)
    """Largest share of an input's rows that cannot be read."""


class Limits(Strict):
    """How much of what may be used before nothing more is begun. What is absent has no limit."""

    tokens: float | None = Field(None, gt=0)
    """Tokens that models read, write and are trained on."""
    usd: float | None = Field(None, gt=0)
    """US dollars, by the prices in `engines`: an engine without prices costs nothing."""
    gpu_hours: float | None = Field(None, gt=0)
    """Hours times accelerators held by engines and fits of the run; those of servers at `urls` are not seen."""
    wall_hours: float | None = Field(None, gt=0)
    """Hours of work on steps, whatever they use."""


class StageLimits(Strict):
    """The same for single stages."""

    annotate: Limits = Limits()
    """Concepts and rationales."""
    cold_start: Limits = Limits()
    """The fits of p0 and q0, and the gates' probe."""
    em: Limits = Limits()
    """All rounds."""
    synthesize: Limits = Limits()
    """New problems."""
    screen: Limits = Limits()
    """Only hours: it runs no model."""


class Budget(Limits):
    """How much the whole run may use, in all processes that worked on its folder. Where a limit is reached, no new shard and no fit
    is begun, what is in flight is committed, and the run stops with exit code 4. Raise the limit to go on: nothing is redone."""

    stages: StageLimits = StageLimits()
    """Limits for single stages, beside those of the run."""


class Planned(Strict):
    """What `promptcot plan` reckons with; nothing else reads it, and no result depends on it."""

    gpu: Literal["H100", "H200", "A100-80", "L40S", "CPU"] | None = None
    """The accelerator that the recipe is meant for. Default: what is here."""
    gpus: int = Field(1, gt=0)
    """How many of them the machine has."""
    figures: dict[str, float] = {}
    """Values in place of the plan's own, by the names that it prints: `rationale_tokens: 400`, `usd_per_gpu_hour: 2.5`."""


class Recipe(Strict):
    """A whole experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True)

    schema_: Literal[1] = Field(alias="schema")
    """Version of this format."""
    name: str
    """Names the default run folder, `runs/<name>`."""
    seed: int = 0
    """All randomness derives from it."""
    domain: Literal["math", "code"] = "math"
    """Of rows that do not say."""
    models: dict[str, ModelSpec] = {}
    """By role: `base`, `generator`, `posterior`, `annotator`, `embedder`, ..."""
    engines: dict[str, EngineSpec] = {"default": EngineSpec()}
    """By name."""
    training: Training = Training()
    """How the worker trains."""
    inputs: Inputs
    """Where rows come from."""
    annotate: Annotate | None = None
    """Stage: concepts and rationales for seeds."""
    cold_start: ColdStart | None = None
    """Stage: p0 and q0."""
    em: Em | None = None
    """Stage: EM."""
    synthesize: Synthesize | None = None
    """Stage: new problems."""
    screen: Screen | None = None
    """Stage: duplicates, contamination, well-posedness."""
    gates: Gates = Gates()
    """Early stops."""
    budget: Budget = Budget()
    """Limits to what the run may use."""
    plan: Planned = Planned()
    """The machine that the recipe is meant for."""

    @model_validator(mode="after")
    def _roles_resolve(self) -> Recipe:
        for role, spec in self.models.items():
            if spec.role is not None and self.models.get(spec.role, spec).role is not None:
                raise ValueError(f"models.{role}: role `{spec.role}` is not a model with a path")
            if spec.engine not in self.engines:
                raise ValueError(f"models.{role}: no engine named `{spec.engine}`")
        return self

    @model_validator(mode="after")
    def _dollars_are_counted(self) -> Recipe:
        stages = [getattr(self.budget.stages, name) for name in StageLimits.model_fields]
        priced = any(engine.usd_per_million_in or engine.usd_per_million_out for engine in self.engines.values())
        if not priced and any(limits.usd is not None for limits in (self.budget, *stages)):
            raise ValueError("budget: `usd` would count nothing, since no engine names a price (usd_per_million_in, usd_per_million_out)")
        return self

    def model(self, role: str) -> ModelSpec:
        """The model of a role, references followed. Raises `UsageError` for an unknown role."""
        if role not in self.models:
            raise UsageError(
                f"no model has the role `{role}`", where=f"models.{role}", remedy=f"add it; roles here: {', '.join(sorted(self.models))}"
            )
        spec = self.models[role]
        return self.models[spec.role] if spec.role else spec
