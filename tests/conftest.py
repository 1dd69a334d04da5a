"""Tiny checkpoints of three architectures, as a stage or the hub would leave them on disk."""

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from tests import hub
from w2s.core.params import Embedded, Finetune, Params, Task
from w2s.pretraining import ladder
from w2s.settings import setting_for
from w2s.settings.base import Setting

settings.register_profile("w2s", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("w2s")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of the micro grid go first, then other slow ones, so that no worker is left alone with a long file."""

    def place(item: pytest.Item) -> tuple[bool, bool]:
        return "reproduced" not in getattr(item, "fixturenames", ()), item.get_closest_marker("slow") is None

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Let collections of garbage pass over what torch and transformers left, a third of a second each time."""
    gc.collect()
    gc.freeze()


WORDS = ["good", "bad", "fine", "poor", "the", "a", "food", "room", "was", "is", "not", "and", "yes", "no"]


TASK = {"family": "mine", "answers": {"true": ["Yes"], "false": ["No"]}, "answer_tokens": 16}
HPARAMS = Finetune(
    tune="full",
    lora={"rank": 2, "alpha": 4},
    keep="none",
    epochs=3,
    batch_size=16,
    micro_batch="auto",
    context=64,
    gradient_checkpointing=False,
    learning_rate=0.005,
    warmup=0.1,
    weight_decay=0.01,
    clip=1.0,
    precision="fp32",
    snapshots=4,
    threads=1,
    processes=1,
)


def hparams_with(**changes: object) -> Finetune:
    return Finetune(**HPARAMS.model_dump() | changes)


def setting_of(
    folder: Path, setting: str = "classification", task: dict[str, Any] | None = None, **changes: object
) -> Setting:
    """A task's setting for the base model in `folder`, finetuned by `HPARAMS` with changes."""
    model = Embedded(
        family="embedded",
        corpus="reviews",
        architecture="neox",
        hidden=16,
        layers=1,
        steps=0,
        learning_rate=0.1,
        warmup=0.1,
    )
    params = Params.model_construct(
        finetune=hparams_with(**changes),
        tasks={"mine": Task(**TASK | {"setting": setting} | (task or {}))},
        models={folder.name: model},
        methods={},
    )
    return setting_for(params, "mine", folder.name, folder.parent)


def drawn(folder: Path, seed: int, make: Callable[[], PreTrainedModel]) -> Path:
    """The folder with a fresh model's weights, drawn by a seed of their own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        make().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def embedded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded model as it is before pretraining."""
    folder = tmp_path_factory.mktemp("embedded")
    tokenizer = ladder.tokenizer(WORDS)
    config = ladder.architecture("neox", len(tokenizer), hidden=16, layers=1)
    ladder.initialized(config, torch.Generator().manual_seed(0)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GPT-2 as on the hub: with dropout, no padding token, and a real word as token 0."""
    folder = tmp_path_factory.mktemp("gpt2")
    inner = Tokenizer(models.WordLevel({word: index for index, word in enumerate([*WORDS, "<unk>"])}, "<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", model_max_length=32)
    tokenizer.save_pretrained(folder)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=32)
    return drawn(folder, 1, partial(GPT2LMHeadModel, config))


def bert(folder: Path) -> BertConfig:
    """An encoder's tokenizer, written to `folder`, and configuration."""
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]
    inner = Tokenizer(models.WordLevel({word: index for index, word in enumerate([*special, *WORDS])}, "[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_max_length=32,
    )
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **sizes)


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder, saved without its pooler, as masked language models are."""
    folder = tmp_path_factory.mktemp("bert")
    return drawn(folder, 2, partial(BertModel, bert(folder), add_pooling_layer=False))


@pytest.fixture(scope="session")
def masked_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder with the head that fills masks."""
    folder = tmp_path_factory.mktemp("masked")
    return drawn(folder, 3, partial(BertForMaskedLM, bert(folder)))


SPEAKERS = ["embedded", "gpt2", "llama", "qwen3"]


@pytest.fixture(scope="session")
def speakers(tmp_path_factory: pytest.TempPathFactory, embedded_folder: Path) -> dict[str, Path]:
    """Models to go on with a text: an embedded model, which ends no text, and three as on the hub, which do.

    Of these GPT-2 and Llama have no padding token, and the end of a text is Qwen3's.
    """
    texts = [" ".join(WORDS), " ".join(reversed(WORDS))]
    folders = {name: hub.ARCHITECTURES[name](tmp_path_factory.mktemp(name), texts, hidden=16) for name in SPEAKERS[1:]}
    return {"embedded": embedded_folder, **folders}


@pytest.fixture(params=["embedded", "gpt2", "bert"])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    """Each of the three in turn."""
    return request.getfixturevalue(f"{request.param}_folder")
