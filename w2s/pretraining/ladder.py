"""The embedded ladders' architectures: tiny GPT-NeoX or GPT-2 models over a word-level vocabulary."""

from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

PAD, BOS, UNKNOWN = "<pad>", "<bos>", "<unk>"
PAD_ID = 0
POSITIONS = 64


def tokenizer(words: list[str]) -> PreTrainedTokenizerBase:
    """One token a word, `<bos>` in front."""
    vocabulary = {word: index for index, word in enumerate([PAD, BOS, UNKNOWN, *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token=PAD, bos_token=BOS, unk_token=UNKNOWN, model_max_length=POSITIONS
    )


def architecture(kind: str, vocabulary: int, hidden: int, layers: int) -> PreTrainedConfig:
    """Two heads or more, tied embeddings, no dropout; `neox`: rotary positions on half of each head, `gpt2`: absolute.

    Absolute positions learn texts of a fixed form, such as a chess board, sooner (docs/LADDER.md).
    """
    common: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": max(2, hidden // 16),
        "max_position_embeddings": POSITIONS,
        "tie_word_embeddings": True,
        "pad_token_id": PAD_ID,
        "bos_token_id": 1,
        "eos_token_id": None,
    }
    if kind == "gpt2":
        return GPT2Config(**common, n_inner=2 * hidden, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    rotary = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}
    return GPTNeoXConfig(**common, intermediate_size=2 * hidden, rope_parameters=rotary)


def initialized(config: PreTrainedConfig, generator: torch.Generator) -> PreTrainedModel:
    """A fresh model; matrices normal with σ = 0.6/√hidden (the HF default of 0.02 leaves narrow models stuck)."""
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(0.0, 0.6 / config.hidden_size**0.5, generator=generator)
    return model
