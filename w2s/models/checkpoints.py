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

PIN = "hub.json"  # stands for the weights of a hub model, which stay in the hub's own cache
CONFIG = ["config.json"]
WEIGHTS = ["config.json", "model*.safetensors"]
TOKENIZER = ["model.safetensors.index.json", "tokenizer*", "vocab*", "merges.txt", "*tokens*.json", "*.model"]


class MissingHeadError(UserError):
    """A checkpoint that has no weights for what it was opened as, say a language model."""


def pin(model: Hub, where: str, folder: Path) -> None:
    """Fetch a hub model's files into the hub's cache and write to `folder` the exact commit and size of them."""
    commit = hub.snapshot("model", model.repository, model.revision, CONFIG, where).name
    pinned = {"repository": model.repository, "commit": commit, "trust_remote_code": model.trust_remote_code}
    _fetched(pinned, where)
    files.write_json(folder / PIN, pinned)
    try:
        opened(AutoTokenizer, folder)  # a fault shows here, not in a later stage
        files.write_json(folder / PIN, pinned | size(folder))
    except UserError as error:
        own = "trust_remote_code" in str(error)
        advice = "it runs code of its own: read it, then set trust_remote_code: true" if own else str(error.__cause__)
        raise UserError(f"{where}: {model.repository} cannot be opened: {advice[:200]}") from None


def size(folder: Path) -> dict[str, int]:
    """Weights of the body, its width and its depth, counted without loading any."""
    config = opened(AutoConfig, folder)
    with torch.device("meta"):
        body = AutoModel.from_config(config, trust_remote_code=trusted(folder))
    return {
        "parameters": sum(parameter.numel() for parameter in without_pooler(body).parameters()),
        "hidden": width(config),
        "layers": config.get_text_config().num_hidden_layers,
    }


def without_pooler(body: PreTrainedModel) -> PreTrainedModel:
    """Never read here; missing from many an encoder's checkpoint, it would be random, and so would the saved bits."""
    if getattr(body, "pooler", None) is not None:
        body.register_module("pooler", None)
    return body


def width(config: PretrainedConfig) -> int:
    """Size of the hidden states that come out."""
    text = config.get_text_config()
    return getattr(text, "word_embed_proj_dim", text.hidden_size)  # OPT-350m projects


def max_context(config: PretrainedConfig) -> float:
    """The most tokens a model can read."""
    text = config.get_text_config()
    taken = text.pad_token_id + 1 if "roberta" in text.model_type else 0  # its positions start after padding's
    return getattr(text, "max_position_embeddings", math.inf) - taken


def is_encoder(config: PretrainedConfig) -> bool:
    """Whether a model reads in both directions: its architecture fills masks."""
    return type(config) in MODEL_FOR_MASKED_LM_MAPPING and not getattr(config, "is_decoder", False)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model or of one tuned from it."""
    return opened(AutoTokenizer, folder)


def opened(kind: Any, folder: Path, dtype: torch.dtype = torch.float32, base: Path | None = None, **more: Any) -> Any:
    """A config, tokenizer or model of an `Auto…` class from a stage's folder; faults become one line.

    The repository's own code is run where the pin in the folder, or in that of the `base` it was tuned from, says so.
    """
    place = _fetched(_record(folder), str(folder)) if (folder / PIN).is_file() else folder
    if not (place / "config.json").is_file():
        raise UserError(f"{folder}: no model here (`dvc repro` makes it)")
    more |= {"local_files_only": True, "trust_remote_code": trusted(base or folder)}
    try:
        if kind in (AutoConfig, AutoTokenizer):
            return kind.from_pretrained(place, **more)
        model, report = kind.from_pretrained(place, dtype=dtype, use_safetensors=True, output_loading_info=True, **more)
    except Exception as error:  # third-party parsers fail in whatever way the damage leads them to
        raise damaged(folder, error) from error
    if missing := sorted(key for key in report["missing_keys"] if not key.startswith("pooler.")):
        lacks = f"weights are missing: {missing[0]} and {len(missing) - 1} more"
        raise damaged(folder, ValueError(lacks)) if kind is AutoModel else MissingHeadError(f"{folder}: {lacks}")
    return model


def trusted(folder: Path) -> bool:
    """Whether params.yaml let this model's repository run its own code."""
    return (folder / PIN).is_file() and _record(folder)["trust_remote_code"]


def damaged(folder: Path, error: Exception) -> UserError:
    return UserError(f"{folder}: damaged model; delete it and `dvc repro` again ({error})")


def _fetched(pinned: dict[str, Any], where: str) -> Path:
    """The files of a pinned model in the hub's cache, fetched if need be."""
    code = ["*.py"] if pinned["trust_remote_code"] else []
    return hub.snapshot("model", pinned["repository"], pinned["commit"], WEIGHTS, where, TOKENIZER + code)


def _record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / PIN).read_text())
        return {key: record[key] for key in ("repository", "commit", "trust_remote_code")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, error) from None
