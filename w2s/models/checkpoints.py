"""Opens a base or tuned model's folder, whether its weights lie in it or, pinned to a commit, at the hub."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from w2s.core import files, hub
from w2s.core.errors import UserError
from w2s.core.params import Hub

# Stands for the weights of a hub model, which stay in the hub's own cache.
PIN = "hub.json"
CONFIG = ["config.json"]
WEIGHTS = ["config.json", "model*.safetensors"]
TOKENIZER = ["model.safetensors.index.json", "tokenizer*", "vocab*", "merges.txt", "*tokens*.json", "*.model"]


class MissingHeadError(UserError):
    """A checkpoint that has no weights for what it was opened as, say a language model."""


def pin(model: Hub, param_path: str, folder: Path) -> None:
    """Fetch a hub model's files into the hub's cache and write its exact commit and its size to `folder`.

    Raises `UserError`, with `param_path`, for a model that cannot be opened.
    """
    commit = hub.snapshot("model", model.repository, model.revision, CONFIG, param_path).name
    pinned = {"repository": model.repository, "commit": commit, "trust_remote_code": model.trust_remote_code}
    _fetched(pinned, param_path)
    files.write_json(folder / PIN, pinned)
    try:
        # A fault shows here, not in a later stage.
        opened(AutoTokenizer, folder)
        files.write_json(folder / PIN, pinned | size(folder))
    except UserError as error:
        own_code = "trust_remote_code" in str(error)
        advice = "it runs code of its own: read it, then set trust_remote_code: true"
        advice = advice if own_code else str(error.__cause__)
        raise UserError(f"{param_path}: {model.repository} cannot be opened: {advice[:200]}") from None


def size(folder: Path) -> dict[str, int]:
    """Number of weights of the body, its width and its number of layers; no weights are loaded."""
    config = opened(AutoConfig, folder)
    with torch.device("meta"):
        body = AutoModel.from_config(config, trust_remote_code=trusted(folder))
    return {
        "parameters": sum(parameter.numel() for parameter in without_pooler(body).parameters()),
        "hidden": width(config),
        "layers": config.get_text_config().num_hidden_layers,
    }


def without_pooler(body: PreTrainedModel) -> PreTrainedModel:
    """The body without a pooler, which is never used here.

    Many encoders' checkpoints lack one; it would be random, and so would the saved bits.
    """
    if getattr(body, "pooler", None) is not None:
        body.register_module("pooler", None)
    return body


def width(config: PretrainedConfig) -> int:
    """Size of the hidden states that the body returns."""
    text = config.get_text_config()
    # OPT-350m projects its hidden states.
    return getattr(text, "word_embed_proj_dim", text.hidden_size)


def max_context(config: PretrainedConfig) -> float:
    """The most tokens that a model can read; infinite where positions are not limited."""
    text = config.get_text_config()
    # RoBERTa's positions start after that of padding.
    unused = text.pad_token_id + 1 if "roberta" in text.model_type else 0
    return getattr(text, "max_position_embeddings", math.inf) - unused


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
    source = _fetched(_record(folder), str(folder)) if (folder / PIN).is_file() else folder
    if not (source / "config.json").is_file():
        raise UserError(f"{folder}: no model here (`dvc repro` makes it)")
    options |= {"local_files_only": True, "trust_remote_code": trusted(base or folder)}
    try:
        if auto in (AutoConfig, AutoTokenizer):
            return auto.from_pretrained(source, **options)
        options |= {"dtype": dtype, "use_safetensors": True, "output_loading_info": True}
        model, report = auto.from_pretrained(source, **options)
    except Exception as error:
        # Third-party parsers fail in whatever way the damage leads them to.
        raise damaged(folder, error) from error
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        message = f"weights are missing: {missing[0]} and {len(missing) - 1} more"
        raise damaged(folder, ValueError(message)) if auto is AutoModel else MissingHeadError(f"{folder}: {message}")
    return model


def trusted(folder: Path) -> bool:
    """Whether params.yaml let this model's repository run its own code."""
    return (folder / PIN).is_file() and _record(folder)["trust_remote_code"]


def damaged(folder: Path, error: Exception) -> UserError:
    """The error for a folder whose model cannot be read."""
    return UserError(f"{folder}: damaged model; delete it and `dvc repro` again ({error})")


def _fetched(pinned: dict[str, Any], param_path: str) -> Path:
    """The files of a pinned model in the hub's cache, fetched if need be."""
    code = ["*.py"] if pinned["trust_remote_code"] else []
    return hub.snapshot("model", pinned["repository"], pinned["commit"], WEIGHTS, param_path, optional=TOKENIZER + code)


def _record(folder: Path) -> dict[str, Any]:
    """What a folder's pin says."""
    try:
        record = json.loads((folder / PIN).read_text())
        return {key: record[key] for key in ("repository", "commit", "trust_remote_code")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, error) from None
