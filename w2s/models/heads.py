"""Pretrained models in the two forms in which they are finetuned: with a scalar head, or with their own over words."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from w2s.core.errors import lacking
from w2s.core.params import Finetune
from w2s.models import hardware, memory, tuning
from w2s.models.batches import Budget
from w2s.models.checkpoints import MissingHeadError, damaged, is_encoder, opened, trusted, width, without_pooler

HEAD = "head.safetensors"
TUNED = "tuned.safetensors"

# GPT-2 warns of padding without a mask; `is_causal` says where none is needed.
logging.getLogger("transformers.modeling_utils").addFilter(
    lambda record: "passing in an `attention_mask`" not in record.getMessage()
)


class Head(nn.Module):
    """A pretrained model of which `hparams.tune` says what learns, on this machine's device and within its memory."""

    # The `Auto…` class that opens the body.
    AUTO: ClassVar[Any]
    body: Any
    head: Any

    def __init__(
        self,
        body: PreTrainedModel,
        hparams: Finetune,
        rng: torch.Generator,
        folder: Path,
        head: nn.Module | None = None,
    ) -> None:
        """`rng` draws adapters, if any; `folder` is named in errors, which are a `UserError` for too little memory."""
        super().__init__()
        config = body.config
        self.head = head
        self.parameter_count = sum(parameter.numel() for parameter in body.parameters())
        self.body = tuning.adapt(body, hparams, rng)
        self.tune = hparams.tune
        text_config = config.get_text_config()
        size = memory.Size(
            parameters=self.parameter_count,
            trainable=self.trainable,
            hidden=width(config),
            layers=text_config.num_hidden_layers,
            vocabulary=0 if body.get_output_embeddings() is None else text_config.vocab_size,
        )
        self.budget = Budget(memory.budget(size, hparams, str(folder)), memory.cached(size.hidden))
        self.to(hardware.device())
        self.is_causal = is_causal(self.body)

    @property
    def trainable(self) -> int:
        """Number of weights that learn."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def remembers(self) -> dict[str, Any]:
        """What beside the weights decides the bits of later answers, by name; each has a `state_dict`."""
        return {"budget": self.budget}

    def trainable_state_dict(self) -> dict[str, Tensor]:
        """A copy of the weights that learn, by name, on the CPU."""
        trainable = ((name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad)
        return {name: parameter.detach().to("cpu", copy=True) for name, parameter in trainable}

    def save(self, folder: Path, whole: bool) -> None:
        """Write the weights that learn and, if `whole` or if that is all of them, a whole checkpoint (safetensors)."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.tune != "full":
            _save(self.trainable_state_dict(), folder / TUNED)
        if self.tune == "full" or whole:
            tuning.merged(self.body).save_pretrained(folder)
            if self.head:
                _save(self.head.state_dict(), folder / HEAD)

    @classmethod
    def configured(cls, folder: Path, base: Path | None = None) -> PretrainedConfig:
        """The configuration that the body is opened with; raises `UserError` where this head does not fit the model."""
        return without_dropout(opened(AutoConfig, folder, base=base))

    @classmethod
    def load_base(cls, folder: Path, hparams: Finetune, rng: torch.Generator, base: Path | None = None) -> Self:
        """The pretrained model, a scalar head zero; frozen weights are held in the precision of forward passes.

        `base` is what the model in `folder` was tuned from, if that is not a base model itself.
        """
        bf16 = hparams.tune != "full" and hardware.bf16(hparams)
        config = cls.configured(folder, base)
        body = opened(cls.AUTO, folder, torch.bfloat16 if bf16 else torch.float32, base, config=config)
        return cls(body, hparams, rng, folder)

    @classmethod
    def from_scratch(cls, folder: Path, hparams: Finetune, seed: int) -> Self:
        """The same architecture with random weights by its own initialiser, drawn by `seed`; all of them learn."""
        config = cls.configured(folder)
        # Initialisers of transformers draw from the global generator only.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            body = cls.AUTO.from_config(config, dtype=torch.float32, trust_remote_code=trusted(folder))
        hparams = hparams.model_copy(update={"tune": "full"})
        return cls(body, hparams, torch.Generator(), folder)

    @classmethod
    def load_tuned(cls, folder: Path, base: Path, hparams: Finetune) -> Self:
        """A finetuned model as `save` wrote it; `base` is what it was tuned from. Raises `UserError` where damaged."""
        try:
            if hparams.tune == "full":
                model = cls.load_base(folder, hparams, torch.Generator(), base)
                if model.head:
                    model.head.load_state_dict(load_file(folder / HEAD))
                return model
            model = cls.load_base(base, hparams, torch.Generator())
            tuned = load_file(folder / TUNED)
            if tuned.keys() != {name for name, parameter in model.named_parameters() if parameter.requires_grad}:
                raise ValueError(f"it holds other weights than tune: {hparams.tune} makes")
            model.load_state_dict(tuned, strict=False)
            return model
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            if lacking(error):
                raise
            raise damaged(folder, error) from None


class FeatureCache(dict[bytes, Tensor]):
    """Features fp32 [hidden] by the bytes of a text's token ids, int64 [length]."""

    def state_dict(self) -> dict[str, Any]:
        ids = torch.frombuffer(bytearray(b"".join(self)), dtype=torch.uint8)
        return {"ids": ids, "sizes": [len(key) for key in self], "features": torch.stack(list(self.values()))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        keys = (ids.numpy().tobytes() for ids in state["ids"].split(state["sizes"]))
        self.update(zip(keys, state["features"], strict=True))


class ScalarHead(Head):
    """A body and a zero-initialised linear layer on one hidden state of the text (paper, appendix A).

    That is the last real token's, or for an encoder, which reads in both directions, the first token's. One logit z per
    text serves both binary settings: P(true) = σ(z), and P(a over b) = σ(z_a − z_b).
    """

    AUTO = AutoModel

    def __init__(self, body: PreTrainedModel, hparams: Finetune, rng: torch.Generator, folder: Path) -> None:
        # An ordinary Linear would draw from the global generator.
        head = nn.utils.skip_init(nn.Linear, width(body.config), 1, dtype=torch.float32)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        super().__init__(without_pooler(body), hparams, rng, folder, head)
        # None where the body learns.
        self.feature_cache = FeatureCache() if hparams.tune == "head" else None

    def remembers(self) -> dict[str, Any]:
        # In another batch, a text's features would differ in their last bits.
        return super().remembers() | ({} if self.feature_cache is None else {"features": self.feature_cache})

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask, both [batch, length], to fp32 logits [batch]; padding is on the right."""
        features = self.features(input_ids, attention_mask)
        with torch.autocast(features.device.type, enabled=False):
            return self.head(features.float()).squeeze(-1)

    def features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The hidden state that the head reads, [batch, hidden], of token ids and mask, both [batch, length].

        Where only the head learns, the body is frozen: it reads each text once, and its features are kept.
        """
        if self.feature_cache is None:
            return text_state(self.body, input_ids, attention_mask, self.is_causal)
        rows = zip(input_ids.cpu(), attention_mask.bool().cpu(), strict=True)
        texts = [ids[real].numpy().tobytes() for ids, real in rows]
        new = {text: index for index, text in enumerate(texts) if text not in self.feature_cache}
        if new:
            rows_of_new = list(new.values())
            with torch.no_grad():
                new_mask = attention_mask[rows_of_new]
                features = text_state(self.body, input_ids[rows_of_new], new_mask, self.is_causal)
            self.feature_cache.update(zip(new, features.float().cpu(), strict=True))
        return torch.stack([self.feature_cache[text] for text in texts]).to(input_ids.device)


class LanguageHead(Head):
    """A causal language model with its own head over the vocabulary; it answers by continuing a text."""

    AUTO = AutoModelForCausalLM

    @classmethod
    def configured(cls, folder: Path, base: Path | None = None) -> PretrainedConfig:
        config = super().configured(folder, base)
        if is_encoder(config):
            raise MissingHeadError(f"{folder}: an encoder fills masks and cannot go on with a text")
        return config

    def __init__(self, body: PreTrainedModel, hparams: Finetune, rng: torch.Generator, folder: Path) -> None:
        # A checkpoint's own configuration may sample, or punish repetition.
        body.generation_config = GenerationConfig()
        super().__init__(body, hparams, rng, folder)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, positions: Tensor) -> Tensor:
        """Logits of the token after each of some positions, fp32 [batch, positions, vocabulary].

        Token ids and mask are [batch, length], padded on the right; `positions` int64 [positions].
        """
        mask = None if self.is_causal else attention_mask
        inputs = {"input_ids": input_ids, "attention_mask": mask, "use_cache": False}
        return self.body(**inputs, logits_to_keep=positions).logits.float()

    @torch.no_grad()
    def generate(self, input_ids: Tensor, attention_mask: Tensor, tokens: int, pad: int, end: int | None) -> Tensor:
        """Greedy decoding of up to `tokens` tokens or `end`: new token ids, int64 [batch, ≤ tokens].

        Token ids and mask are [batch, length], padded on the left. After `end` follows nothing but `end`, since `pad`
        may be a real word.
        """
        filler = pad if end is None else end
        config = GenerationConfig(do_sample=False, max_new_tokens=tokens, pad_token_id=filler, eos_token_id=end)
        ids = self.body.generate(input_ids=input_ids, attention_mask=attention_mask, generation_config=config)
        return ids[:, input_ids.shape[1] :]


@torch.no_grad()
def is_causal(body: Any) -> bool:
    """Whether nothing that follows a token changes its state, tried on two texts.

    Padding behind a text then needs no mask, without which attention has faster kernels.
    """
    if is_encoder(body.config):
        return False
    ids = torch.tensor([[0, 0], [0, 1]], device=body.device)
    first, other = body(input_ids=ids, use_cache=False)[0][:, 0]
    return torch.equal(first, other)


def text_state(body: Any, input_ids: Tensor, attention_mask: Tensor, is_causal: bool) -> Tensor:
    """A text's own hidden state [batch, hidden], of token ids and mask, both [batch, length], padded on the right.

    That is the last real token's, or an encoder's of the first real token.
    """
    encoder = is_encoder(body.config)
    options = {} if encoder else {"use_cache": False}
    mask = None if is_causal else attention_mask
    hidden = body(input_ids=input_ids, attention_mask=mask, **options).last_hidden_state
    positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    position = attention_mask.argmax(dim=1) if encoder else (attention_mask * positions).argmax(dim=1)
    return hidden[torch.arange(len(position), device=position.device), position]


def without_dropout(config: PretrainedConfig) -> PretrainedConfig:
    """The configuration with every dropout rate 0, so that an update does not depend on how its batch is divided."""
    for name, value in vars(config).items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    return config


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
