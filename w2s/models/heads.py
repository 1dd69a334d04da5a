"""A pretrained body with a scalar head: the form in which every model is finetuned, saved and used for labels.

One logit z per text serves both binary settings: P(true) = σ(z), and P(a over b) = σ(z_a − z_b).
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from w2s.errors import UserError

HEAD = "head.safetensors"


class ScalarHead(nn.Module):
    """A body and a zero-initialised linear layer on the hidden state of the last real token (paper, appendix A)."""

    def __init__(self, body: PreTrainedModel) -> None:
        super().__init__()
        self.body = body
        if getattr(body, "pooler", None) is not None:
            # Never read here; missing from many an encoder's checkpoint, it would be random, and so the saved bits.
            body.register_module("pooler", None)
        self.head = nn.Linear(body.config.hidden_size, 1, dtype=torch.float32)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask, both [batch, length], to logits [batch]; padding is on the right.

        For bodies with relative positions, the embedded ones among them, it may be on either side.
        """
        hidden = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
        last = (attention_mask * positions).argmax(dim=1)
        return self.head(hidden[torch.arange(len(last), device=last.device), last].float()).squeeze(-1)

    def save(self, folder: Path) -> None:
        """Write the body as a checkpoint and the head beside it (safetensors only)."""
        self.body.save_pretrained(folder)
        save_file({name: tensor.contiguous() for name, tensor in self.head.state_dict().items()}, folder / HEAD)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model or of one tuned from it."""
    return opened(AutoTokenizer, folder)


def load_base(folder: Path) -> ScalarHead:
    """A pretrained body with a fresh head."""
    return ScalarHead(opened(AutoModel, folder))


def from_scratch(folder: Path, seed: int) -> ScalarHead:
    """The same architecture with the random weights its own initialiser draws."""
    config = opened(AutoConfig, folder)
    with torch.random.fork_rng(devices=[]):  # HF initialisers know the global generator only
        torch.default_generator.manual_seed(seed)
        return ScalarHead(AutoModel.from_config(config, dtype=torch.float32))


def load_tuned(folder: Path) -> ScalarHead:
    """A finetuned model as `save` wrote it."""
    model = load_base(folder)
    try:
        model.head.load_state_dict(load_file(folder / HEAD))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise _damaged(folder, error) from None
    return model


def opened(kind: Any, folder: Path) -> Any:
    """A config, tokenizer or fp32 model of an `Auto…` class from a checkpoint folder; faults become one line."""
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no model here (`dvc repro` makes it)")
    try:
        if kind in (AutoConfig, AutoTokenizer):
            return kind.from_pretrained(folder, local_files_only=True)
        model, report = kind.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
        if missing := sorted(key for key in report["missing_keys"] if not key.startswith("pooler.")):
            raise ValueError(f"weights are missing: {missing[0]} and {len(missing) - 1} more")
        return model
    except Exception as error:  # third-party parsers fail in whatever way the damage leads them to
        raise _damaged(folder, error) from None


def _damaged(folder: Path, error: Exception) -> UserError:
    return UserError(f"{folder}: damaged model; delete it and `dvc repro` again ({error})")
