"""Opens a base or tuned model's folder, whether its weights lie in it or, pinned to a commit, at the hub."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from w2s.core import hub
from w2s.core.errors import UserError, lacking

# Stands for the weights of a hub model, which stay in the hub's own cache.
PIN = "hub.json"
CONFIG = ["config.json"]
WEIGHTS = ["config.json", "model*.safetensors"]
# Of every kind that a tokenizer is read from, its own code (`trust_remote_code`) included.
TOKENIZER = ["*.json", "*.txt", "*.model", "*.tiktoken", "*.tokenizer", "*.jinja", "*.codes", "*.spm"]


class MissingHeadError(UserError):
    """A checkpoint that has no weights for what it was opened as, say a language model."""


def size(folder: Path) -> dict[str, int]:
    """Number of weights of the body, its width and its number of layers; no weights are loaded."""
    body = without_pooler(skeleton(folder))
    return {
        "parameters": sum(parameter.numel() for parameter in body.parameters()),
        "hidden": width(body.config),
        "layers": body.config.get_text_config().num_hidden_layers,
    }


def skeleton(folder: Path) -> PreTrainedModel:
    """The body without weights, on PyTorch's meta device."""
    with torch.device("meta"):
        return AutoModel.from_config(opened(AutoConfig, folder), trust_remote_code=trusted(folder))


def without_pooler(body: PreTrainedModel) -> PreTrainedModel:
    """The body without a pooler, which is never used here.

    Many encoders' checkpoints lack one; it would be random, and so would the saved bits. Some bodies call theirs
    without asking whether they have one, and so it becomes a pooler without weights.
    """
    if getattr(body, "pooler", None) is not None:
        body.pooler = nn.Identity()
    return body


def width(config: PretrainedConfig) -> int:
    """Size of the hidden states that the body returns."""
    text = config.get_text_config()
    # OPT-350m projects its hidden states.
    return getattr(text, "word_embed_proj_dim", text.hidden_size)


def max_context(body: PreTrainedModel) -> float:
    """The most tokens that a model can read; infinite where positions are not limited."""
    # XLNet says -1 for no limit.
    limit = max(getattr(body.config.get_text_config(), "max_position_embeddings", None) or 0, 0) or math.inf
    # A table of positions with a place for padding is read from behind that place on (RoBERTa and its kin).
    tables = [module for name, module in body.named_modules() if "position" in name.rpartition(".")[2]]
    offset = [table for table in tables if getattr(table, "padding_idx", None) is not None]
    return min([limit, *(table.num_embeddings - table.padding_idx - 1 for table in offset)])


def padding(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> int:
    """The token id that fills up batches. It is masked, so any one will do that the embedding has."""
    pad = tokenizer.pad_token_id
    return pad if pad is not None and pad < getattr(config.get_text_config(), "vocab_size", math.inf) else 0


def is_encoder(config: PretrainedConfig) -> bool:
    """Whether a model reads in both directions: its architecture fills masks."""
    return type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model or of one tuned from it; a special token's name in a text is text to it."""
    tokenizer = opened(AutoTokenizer, folder)
    tokenizer.split_special_tokens = True
    return tokenizer


def opened(
    auto: Any, folder: Path, dtype: torch.dtype = torch.float32, base: Path | None = None, **options: Any
) -> Any:
    """The config, tokenizer or model that the class `auto` (`AutoConfig`, …) opens from a stage's folder.

    The repository's own code is run where the pin in the folder, or in that of the `base` it was tuned from, says so.
    `options` go to `from_pretrained`. Raises `UserError` for a missing or damaged model, `MissingHeadError` for one
    that lacks the head that `auto` asks for.
    """
    source = fetched(_record(folder), str(folder)) if (folder / PIN).is_file() else folder
    if not (source / "config.json").is_file():
        raise UserError(f"{folder}: no model here (`dvc repro` makes it)")
    options |= {"local_files_only": True, "trust_remote_code": trusted(base or folder)}
    try:
        if auto in (AutoConfig, AutoTokenizer):
            return auto.from_pretrained(source, **options)
        options |= {"dtype": dtype, "use_safetensors": True, "output_loading_info": True}
        model, report = auto.from_pretrained(source, **options)
    except Exception as error:
        if lacking(error):
            raise
        if auto is not AutoModel and "Unrecognized configuration class" in str(error):
            raise MissingHeadError(f"{folder}: its architecture has no {auto.__name__}") from None
        # Third-party parsers fail in whatever way the damage leads them to.
        raise damaged(folder, error) from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        fault = ValueError(f"weights are missing: {missing[0]} and {len(missing) - 1} more")
        if auto is not AutoModel:
            raise MissingHeadError(f"{folder}: {fault}")
        raise damaged(folder, fault) from fault
    return model


def trusted(folder: Path) -> bool:
    """Whether params.yaml let this model's repository run its own code."""
    return (folder / PIN).is_file() and _record(folder)["trust_remote_code"]


def damaged(folder: Path, error: Exception) -> UserError:
    """The error for a folder whose model cannot be read."""
    return UserError(f"{folder}: damaged model; delete it and `dvc repro` again ({error})")


def fetched(pinned: dict[str, Any], param_path: str) -> Path:
    """The files of a pinned model in the hub's cache, fetched if need be."""
    code = ["*.py"] if pinned["trust_remote_code"] else []
    return hub.snapshot("model", pinned["repository"], pinned["commit"], WEIGHTS, param_path, optional=TOKENIZER + code)


def _record(folder: Path) -> dict[str, Any]:
    """What a folder's pin says."""
    try:
        record = json.loads((folder / PIN).read_text(encoding="utf-8"))
        return {key: record[key] for key in ("repository", "commit", "trust_remote_code")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, error) from None
