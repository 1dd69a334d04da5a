"""Pins a model of the hub to its commit, after a trial of its architecture, so that faults show before any training.

The trial takes the real configuration and tokenizer, but random weights, `DEPTH` layers deep: what can go wrong (tokens
or positions outside their tables, features that padding changes, inputs that are no text) lies in the architecture,
while real weights take minutes to load and may not fit where stage `base` runs. It runs on the CPU, since an index out
of range ends an accelerator's context.
"""

import hashlib
import math
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants, try_to_load_from_cache
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from w2s.core import files, hub
from w2s.core.errors import UserError, lacking
from w2s.core.params import Hub
from w2s.models.batches import encode, pad_batch
from w2s.models.checkpoints import (
    CONFIG,
    PIN,
    fetched,
    load_tokenizer,
    max_context,
    opened,
    padding,
    size,
    skeleton,
    trusted,
    width,
    without_pooler,
)
from w2s.models.heads import is_causal, text_state

DEPTH = 2
# Tokens of the longest text that is tried: no table of positions is much longer. Without a limit nothing can overrun.
LONGEST = 4096
UNLIMITED = 128
SENTENCE = "The food was good. Is this answer right? "


class UnfitError(Exception):
    """Why a model cannot be a supervisor or a student."""


def pin(model: Hub, param_path: str, folder: Path) -> None:
    """Fetch a hub model's files into the hub's cache and write its exact commit and its size to `folder`.

    Raises `UserError`, with `param_path`, for a model that cannot be opened, or does not read texts in batches.
    """
    revision = _revision(model)
    commit = hub.snapshot("model", model.repository, revision, CONFIG, param_path).name
    pinned: dict[str, Any] = {
        "repository": model.repository,
        "commit": commit,
        "trust_remote_code": model.trust_remote_code,
    }
    source = fetched(pinned, param_path)
    if revision != model.revision:
        print(f"{param_path}: the cache lacks {model.revision}; its {revision} stands in, {commit}", file=sys.stderr)
        # Such a commit may be a name that someone gave: the weights say what they are.
        weights = hub.matching(source, ["*.safetensors"])
        pinned["sha256"] = {path.name: _sha256(path) for path in weights}
    files.write_json(folder / PIN, pinned)
    name = f"{param_path}: {model.repository}"
    try:
        load_tokenizer(folder)
        config = opened(AutoConfig, folder)
        if config.is_encoder_decoder:
            raise UnfitError("it has an encoder and a decoder, where one body must read a text")
        # Are all weights there? Their names are read, no numbers.
        opened(AutoModel, folder, device_map="meta")
        measured = size(folder)
        try:
            _try(folder, DEPTH)
        except UnfitError:
            raise
        except Exception:
            # What a configuration lists by layer may not fit fewer of them.
            _try(folder, size(folder)["layers"])
    except UserError as error:
        own_code = "trust_remote_code" in str(error)
        advice = "it runs code of its own: read it, then set trust_remote_code: true"
        raise UserError(f"{name} cannot be opened: {advice if own_code else str(error.__cause__)[:200]}") from None
    except UnfitError as error:
        raise UserError(f"{name} cannot be used: {error}") from None
    except Exception as error:
        if lacking(error):
            raise
        # Whatever an architecture says of what it did not expect.
        fault = f"{type(error).__name__}: {str(error)[:200]}"
        raise UserError(f"{name} cannot be used: it fails on a batch of texts ({fault})") from None
    files.write_json(folder / PIN, pinned | measured)


def _revision(model: Hub) -> str:
    """`revision`; offline `offline_revision`, where the cache has that one only."""
    if not (model.offline_revision and constants.HF_HUB_OFFLINE):
        return model.revision
    wanted = (model.revision, model.offline_revision)
    found = [
        one for one in wanted if isinstance(try_to_load_from_cache(model.repository, CONFIG[0], revision=one), str)
    ]
    return found[0] if found else model.revision


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@torch.no_grad()
def _try(folder: Path, depth: int) -> None:
    """Read a short text and one of the whole context, each alone and both as one batch."""
    tokenizer = load_tokenizer(folder)
    config = opened(AutoConfig, folder)
    limit = max_context(skeleton(folder))
    context = int(min(limit, tokenizer.model_max_length, LONGEST if limit < math.inf else UNLIMITED))
    pad = padding(tokenizer, config)
    body = _shallow(folder, config, depth)
    long, short = encode(tokenizer, [SENTENCE * context, "Yes"], context)
    alone = torch.cat([text_state(body, *pad_batch([text], pad), is_causal=False) for text in (long, short)])
    # With a mask, and as heads read causal models, without.
    for causal in {False, is_causal(body)}:
        together = text_state(body, *pad_batch([long, short], pad), causal)
        if together.shape[1] != width(config):
            raise UnfitError(f"its hidden states are {together.shape[1]} wide, by its configuration {width(config)}")
        for one, batched in zip(alone, together, strict=True):
            if not torch.allclose(one, batched, rtol=1e-3, atol=1e-3 * float(one.abs().max())):
                raise UnfitError(
                    "what it makes of a text depends on padding, and so on the texts that it is batched with"
                )


def _shallow(folder: Path, config: PretrainedConfig, depth: int) -> PreTrainedModel:
    """The architecture with random weights and `depth` layers; all where their number cannot be set."""
    text = config.get_text_config()
    with suppress(AttributeError, NotImplementedError):
        text.num_hidden_layers = min(depth, text.num_hidden_layers)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        body = AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=trusted(folder))
    return without_pooler(body).eval()
