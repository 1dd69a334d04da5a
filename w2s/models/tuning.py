"""Which weights of a model learn: all of them, low-rank adapters, or its head alone."""

import math
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from w2s.core.params import Finetune


def adapt(body: PreTrainedModel, hparams: Finetune, rng: torch.Generator) -> nn.Module:
    """The body for `hparams.tune`: as it is, with adapters (Hu et al., 2021; drawn from `rng`), or frozen."""
    if hparams.gradient_checkpointing:
        body.activation_checkpointing_enable({"use_reentrant": False})
    if hparams.tune == "full":
        return body
    if hparams.tune == "head":
        return body.requires_grad_(False)
    # Slow to import, and seldom used.
    from peft import LoraConfig, get_peft_model

    # GPT-2 stores its matrices so.
    transposed = any(isinstance(module, Conv1D) for module in body.modules())
    config = LoraConfig(
        r=hparams.lora.rank,
        lora_alpha=hparams.lora.alpha,
        target_modules="all-linear",
        fan_in_fan_out=transposed,
    )
    adapted = get_peft_model(body, config)
    for name, parameter in adapted.named_parameters():
        # peft draws these from the global generator; the others start at zero.
        if "lora_A" in name:
            nn.init.kaiming_uniform_(parameter, a=math.sqrt(5), generator=rng)
    return adapted


def merged(body: nn.Module) -> Any:
    """The body as an ordinary checkpoint: adapters added, in fp32, to the weights they adapt."""
    merge: Any = getattr(body.float(), "merge_and_unload", None)
    return merge() if merge else body
