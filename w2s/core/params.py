"""What an experiment may vary: the one typed, strict view of params.yaml.

Every field's description is its manual. A schema can refuse a value and never decides a result: what does stands in
params.yaml, not in a default here (tests/core/test_params.py holds the few exceptions). Names are checked against
their catalogues by `checks`. Options that belong to one task family, corpus or loss are declared by that function's
own signature and checked by `options_of` where the function is looked up, so adding one touches no schema.
"""

from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    model_validator,
)

from w2s.core.validation import Open, Strict, either

PARAMS = "params.yaml"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Even = Annotated[int, Field(gt=0, multiple_of=2)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Keep = Literal["none", "adapter", "full"]
Word = Annotated[str, Field(min_length=1)]

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def _distinct(items: list[T]) -> list[T]:
    if len(set(items)) < len(items):
        raise ValueError("must not hold anything twice")
    return items


# Lists in which nothing occurs twice.
DistinctList = Annotated[list[T], AfterValidator(_distinct)]
NonEmptyList = Annotated[list[T], Field(min_length=1), AfterValidator(_distinct)]


def _own_folder(name: str) -> str:
    path = PurePosixPath(name)
    if (
        str(path) != name
        or path.is_absolute()
        or ".." in path.parts
        or name[:1] in (".", "~")
        or path.parts[0] in TAKEN
    ):
        raise ValueError(
            f"must be a folder of its own in this repository, like reports/mine; {', '.join(TAKEN)} are taken"
        )
    return name


# What stages and sources lie in: DVC empties the folder of an output.
TAKEN = ("benchmarks", "code", "data", "docs", "grids", "models", "runs", "stages", "tests", "tools", "w2s")
OwnFolder = Annotated[Word, AfterValidator(_own_folder)]


def _all_or_none(block: M, *names: str) -> M:
    """The block itself, if of these lists all have items or none has."""
    full = [name for name in names if getattr(block, name)]
    empty = [name for name in names if not getattr(block, name)]
    if full and empty:
        raise ValueError(f"{empty[0]}: must have at least one item, as {full[0]} has (or all {len(names)} lists none)")
    return block


class Simulated(Strict):
    """Supervisors that are no models: their labels are made of those of models and, but for an ensemble's, of truth."""

    of: DistinctList[Name] = Field(
        description="supervisors in the block's `weak`: an ensemble is of all of these, any other is made of the first"
    )
    weak: DistinctList[Name] = Field(
        description="random-, class-, hard-, long-, short-errors: where errors are; true-labels-100: so many are true; "
        "ensemble: mean or majority of the labels"
    )
    methods: DistinctList[Name] = Field(description="in the block's `methods`, for students in its `strong`")

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        return _all_or_none(self, "of", "weak", "methods")


class Block(Strict):
    """The grid of one setting: every combination of its tasks, weak, strong and methods, and of the seeds, is one cell.

    All lists are empty in a setting that is left out.
    """

    tasks: DistinctList[Name] = Field(description="names in `tasks`, all of this setting")
    weak: DistinctList[Name] = Field(description="supervisors; each is in the ladder")
    strong: DistinctList[Name] = Field(description="students; each is in the ladder")
    methods: DistinctList[Name] = Field(description="names in `methods`")
    ceilings: DistinctList[Name] = Field(
        description="those of the methods by which ceilings are trained; students by other methods are compared with "
        "the first. A method that finetunes on texts needs its own, to compare like with like"
    )
    simulated: Simulated

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        return _all_or_none(self, "tasks", "weak", "strong", "methods", "ceilings")


class Grid(Strict):
    """What is run: a block of cells for each setting, every one under every seed."""

    reports: OwnFolder = Field(description="folder for results, figures and report")
    ladder: NonEmptyList[Name] = Field(description="base models to make or fetch; those of one family by rising size")
    seeds: NonEmptyList[Seed] = Field(description="finetuning seeds")
    classification: Block
    preference: Block
    generation: Block

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not (self.classification.tasks or self.preference.tasks or self.generation.tasks):
            raise ValueError("classification.tasks: at least one of the settings must have tasks")
        return self


class Split(Strict):
    """How many examples each part of a task gets, half of them true; no group straddles two parts.

    A task with fewer is divided in the same proportions.
    """

    supervisor: Even = Field(description="examples a supervisor learns from, with truth")
    student: Even = Field(description="examples a student learns from, with weak labels")
    validation: Even = Field(description="held-out examples that get weak labels only")
    test: Even = Field(description="examples on which everything is measured")


class Lora(Strict):
    """Low-rank adapters on every linear layer of the body (Hu et al., 2021)."""

    rank: Count = Field(description="rank of each layer's update")
    alpha: Count = Field(description="updates are scaled by alpha / rank")


class Finetune(Strict):
    """How supervisors, students and ceilings are finetuned (paper, appendix A)."""

    tune: Literal["full", "lora", "head"] = Field(description="what learns: all weights, adapters and head, head only")
    lora: Lora = Field(description="the adapters, where `tune` is lora")
    keep: Keep = Field(
        description="what stays of students and ceilings: nothing, what was tuned (lora, head), or a whole checkpoint. "
        "Supervisors always stay, since they label: whole if this is full or `tune` is, else as adapter"
    )
    epochs: Count = Field(description="passes over the training half")
    batch_size: Count = Field(description="examples per optimizer update")
    micro_batch: Annotated[Literal["auto"] | Count, either("auto or a whole number greater than 0")] = Field(
        description="padded tokens per forward pass, or as many as memory holds; gradients add up to batch_size, so "
        "that this decides speed and memory and, but for rounding, nothing else"
    )
    context: Count = Field(
        description="tokens of a text that are read, of a longer one the last; never more than the model reads"
    )
    gradient_checkpointing: bool = Field(description="recompute activations in the backward pass: slower, smaller")
    learning_rate: Positive = Field(description="peak of the schedule")
    warmup: Fraction = Field(description="fraction of updates with a linearly rising rate; a cosine to zero follows")
    weight_decay: float = Field(ge=0, description="AdamW's decoupled decay, on matrices only")
    clip: Positive = Field(description="largest L2 norm of the gradient; a larger one is scaled down to it")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        description="of forward passes, auto: bf16 where the hardware has units for it; weights that learn stay fp32"
    )
    snapshots: Count = Field(description="evenly spaced points of training at which test inputs are predicted")
    threads: Count = Field(description="CPU threads; a hyperparameter, since it decides the last bits")
    processes: Count = Field(
        description="processes that share each training and its predictions, with one GPU each where there are any; "
        "like threads it decides speed and the last bits"
    )

    @model_validator(mode="after")
    def _adapter_is_tuned(self) -> Self:
        if self.keep == "adapter" and self.tune == "full":
            raise ValueError("keep: adapter goes with tune: lora or head; full tuning leaves a whole model")
        return self


class Evaluate(Strict):
    """How results are measured."""

    seed: Seed = Field(description="draws the halves of test examples that probes and best snapshots are chosen on")
    confidence: float = Field(gt=0, lt=1, description="coverage of every interval; claims are tested at 1 − it")
    smallest_gap: Fraction = Field(description="ceiling − supervisor accuracy under which PGR is undefined")


class Corpus(Open):
    """The text an embedded ladder is pretrained on; the remaining keys are the options of its language."""

    family: Name = Field(description="a file in w2s/data/corpora: the language")
    documents: Count = Field(description="size; a model whose pretraining takes more sees documents again")


class Answers(Strict):
    """Words that continue a text as its answer, by which a base model is read without finetuning (zero-shot, few-shot).

    Few-shot prompts show the first of each.
    """

    true: NonEmptyList[Word] = Field(description="words that mean yes")
    false: NonEmptyList[Word] = Field(description="words that mean no")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if both := [word for word in self.true if word in self.false]:
            raise ValueError(f"false: '{both[0]}' means yes, too")
        return self


class Task(Open):
    """A data set made into examples; the remaining keys are its family's options."""

    family: Name = Field(description="a file in w2s/data/tasks")
    setting: Name = Field(description="a file in w2s/settings")
    corpus: Name | None = Field(default=None, description="for generated tasks: the language in `corpora`")
    answers: Answers | None = Field(
        default=None, description="classification and preference: the words that mean yes and no to a base model"
    )
    answer_tokens: Count | None = Field(
        default=None, description="generation: tokens that an answer in words may take at most"
    )
    finetune: dict[str, Any] = Field(default={}, description="overrides of `finetune` for this task")

    @model_validator(mode="after")
    def _answered_as_its_setting_needs(self) -> Self:
        needed = {"classification": "answers", "preference": "answers", "generation": "answer_tokens"}.get(self.setting)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"{needed} is missing, which a {self.setting} task needs")
        return self


class Embedded(Strict):
    """An embedded model: small, pretrained here, offline, into an ordinary Hugging Face checkpoint."""

    family: Literal["embedded"]
    corpus: Name = Field(description="pretraining text, in `corpora`")
    architecture: Literal["neox", "gpt2"] = Field(description="rotary positions, or absolute ones")
    hidden: Count = Field(description="width")
    layers: Count = Field(description="depth")
    steps: int = Field(ge=0, description="pretraining updates of 32 documents")
    learning_rate: Positive = Field(description="peak pretraining rate")
    warmup: Fraction = Field(description="fraction of updates with a linearly rising rate")
    # No overrides of `finetune`: they would ask for the rung anew. Tasks and methods have them.
    finetune: ClassVar[dict[str, Any]] = {}


class Hub(Strict):
    """Any causal language model or encoder of the Hugging Face hub, with safetensors weights."""

    family: Literal["hub"]
    repository: Word = Field(description="owner/name on the hub")
    revision: Word = Field(description="commit, tag or branch; the commit it means is recorded in dvc.lock")
    offline_revision: Word | None = Field(
        default=None,
        description="offline, the branch to take from a cache that lacks `revision`, since it was not made by the "
        "hub's client; recorded are its commit and the weights' SHA-256",
    )
    parameters: Count = Field(description="number of weights, so that cost is known before anything is fetched")
    trust_remote_code: bool = Field(default=False, description="run the repository's own Python code")
    finetune: dict[str, Any] = Field(default={}, description="overrides of `finetune` for this model")


Model = Annotated[Embedded | Hub, Field(discriminator="family")]


class Method(Open):
    """How a student is trained: a list of parts, each a file in w2s/methods, by name with their options.

    Without any part this is naive finetuning on the weak labels.
    """

    finetune: dict[str, Any] = Field(
        default={}, description="overrides of `finetune`, after a model's and a task's; tune: head is a linear probe"
    )

    @property
    def parts(self) -> dict[str, Any]:
        """The options of each part by its name; their schema is the part's own class (`w2s.methods.parts_of`)."""
        return self.options


class Params(Strict):
    """All of params.yaml."""

    grid: Grid
    split: Split
    finetune: Finetune
    evaluate: Evaluate
    corpora: dict[Name, Corpus]
    tasks: dict[Name, Task]
    models: dict[Name, Model]
    methods: dict[Name, Method]
