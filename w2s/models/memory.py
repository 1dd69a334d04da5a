"""How many bytes finetuning takes, and so how many tokens one forward pass may hold."""

import sys
from dataclasses import dataclass

from w2s.core.errors import UserError
from w2s.core.params import Finetune
from w2s.models import hardware

GIB = 2**30
# Tokens times width of a forward pass at which a CPU is fastest, since its cache holds them. On an AMD EPYC MiniLM-L6
# (width 384) reads 94 texts/s in passes of 32,768 tokens, 189 in 1,024, 175 in 256; the embedded `l` (width 40) 10,960,
# 16,200 in 8,192, 13,170 in 1,024.
CACHED = 2**19


@dataclass(frozen=True)
class Size:
    """What of a model decides the memory that it takes."""

    # Weights in all, and those of them (and of adapters and head) that learn.
    parameters: int
    trainable: int
    # Width and depth of the body.
    hidden: int
    layers: int
    # Tokens that a language modelling head chooses from; 0 without one.
    vocabulary: int = 0


def states(parameters: int, trainable: int, hparams: Finetune) -> int:
    """Bytes of weights (fp32 where they learn), their gradients, and AdamW's two moments of each."""
    bf16 = hardware.bf16(hparams)
    if hparams.tune == "full":
        # Under bf16 autocast, a 16-bit copy of the weights too.
        return (16 + 2 * bf16) * parameters
    return (2 if bf16 else 4) * parameters + 16 * trainable


def per_token(hidden: int, layers: int, hparams: Finetune, vocabulary: int = 0) -> int:
    """Bytes of activations that the backward pass needs of each token.

    That is equation 2 of Korthikanti et al. (2022) without the attention matrix, which fused kernels never store; with
    gradient checkpointing each layer's input and one whole layer. A language model also holds, in fp32, the logits,
    the log-probabilities and their gradient.
    """
    # The equation counts 16-bit activations.
    factor = 1 if hardware.bf16(hparams) else 2
    logits = 12 * vocabulary
    if hparams.tune == "head":
        # One layer at a time, nothing kept.
        return 34 * hidden * factor
    if hparams.gradient_checkpointing:
        return (2 * layers + 34) * hidden * factor + logits
    return 34 * layers * hidden * factor + logits


def require(needed: int, hparams: Finetune, param_path: str) -> None:
    """Raise `UserError` where finetuning takes more bytes than this machine has for it."""
    if needed > hardware.memory():
        smaller = ["tune: lora or head"] * (hparams.tune == "full")
        smaller += ["gradient_checkpointing: true"] * (not hparams.gradient_checkpointing)
        raise UserError(
            f"{param_path}: too large for this machine: tune: {hparams.tune} takes {needed / GIB:.1f} GiB, one "
            f"training may use {hardware.memory() / GIB:.1f} GiB of {hardware.device().type} memory; try "
            + ", ".join([*smaller, "a shorter context or a smaller model"])
        )


def cached(hidden: int) -> int:
    """Padded tokens of one forward pass that a CPU does at its best, by the width; a GPU takes what memory holds."""
    if hardware.device().type != "cpu":
        return sys.maxsize
    return 2 ** ((CACHED // hidden).bit_length() - 1)


def budget(size: Size, hparams: Finetune, param_path: str) -> int:
    """Padded tokens of one forward pass: `micro_batch`, or what fits this machine, at most a whole batch.

    Raises `UserError` where not even one text of `hparams.context` tokens fits.
    """
    fixed = states(size.parameters, size.trainable, hparams)
    each = per_token(size.hidden, size.layers, hparams, size.vocabulary)
    require(fixed + hparams.context * each, hparams, param_path)
    if hparams.micro_batch != "auto":
        return hparams.micro_batch
    fits = (hardware.memory() - fixed) // each
    # A power of two: machines whose memory differs by little make the same micro-batches.
    return min(hparams.batch_size * hparams.context, 2 ** (fits.bit_length() - 1))
