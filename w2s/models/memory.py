"""How much memory finetuning takes, and so how many tokens may pass at once."""

from w2s.core.errors import UserError
from w2s.core.params import Finetune
from w2s.models import hardware

GIB = 2**30


def states(parameters: int, trainable: int, hparams: Finetune) -> int:
    """Bytes of weights (fp32 where they learn), their gradients, and AdamW's two moments of each."""
    bf16 = hardware.bf16(hparams)
    if hparams.tune == "full":
        return (16 + 2 * bf16) * parameters  # under bf16 autocast a 16-bit copy of the weights too
    return (2 if bf16 else 4) * parameters + 16 * trainable


def per_token(hidden: int, layers: int, hparams: Finetune, words: int = 0) -> int:
    """Bytes of activations kept for the backward pass, a token (Korthikanti et al., 2022, equation 2, without the
    attention matrix, which fused kernels never store); with checkpointing each layer's input and one whole layer.

    A language model of so many `words` also has, in fp32, their logits, these as logarithms of P, and the slopes.
    """
    size, logits = 1 if hardware.bf16(hparams) else 2, 12 * words  # the count is for 16 bits
    if hparams.tune == "head":
        return 34 * hidden * size  # one layer at a time, nothing kept
    if hparams.gradient_checkpointing:
        return (2 * layers + 34) * hidden * size + logits
    return 34 * layers * hidden * size + logits


def require(needed: int, hparams: Finetune, where: str) -> None:
    """Raise `UserError` where finetuning takes more bytes than this machine has for it."""
    if needed > hardware.memory():
        smaller = ["tune: lora or head"] * (hparams.tune == "full")
        smaller += ["gradient_checkpointing: true"] * (not hparams.gradient_checkpointing)
        raise UserError(
            f"{where}: too large for this machine: tune: {hparams.tune} takes {needed / GIB:.1f} GiB, one training "
            f"may use {hardware.memory() / GIB:.1f} GiB of {hardware.device().type} memory; try "
            + ", ".join([*smaller, "a shorter context or a smaller model"])
        )


def budget(
    parameters: int, trainable: int, hidden: int, layers: int, hparams: Finetune, where: str, words: int = 0
) -> int:
    """Padded tokens of one forward pass: `micro_batch`, or what fits this machine, at most a whole batch.

    Raises `UserError` when not even one text of `hparams.context` tokens fits.
    """
    held, each = states(parameters, trainable, hparams), per_token(hidden, layers, hparams, words)
    require(held + hparams.context * each, hparams, where)
    if hparams.micro_batch != "auto":
        return hparams.micro_batch
    fits = (hardware.memory() - held) // each
    # A power of two: memory that differs by little between machines cuts batches in the same way.
    return min(hparams.batch_size * hparams.context, 2 ** (fits.bit_length() - 1))
