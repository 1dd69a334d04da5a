"""Pretrained models in the two forms in which they are finetuned, saved and asked: with a scalar head, or in words."""

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

from w2s.core.params import Finetune
from w2s.models import hardware, memory, tuning
from w2s.models.batches import Budget
from w2s.models.checkpoints import MissingHeadError, damaged, is_encoder, opened, trusted, width, without_pooler

HEAD = "head.safetensors"
TUNED = "tuned.safetensors"


class Head(nn.Module):
    """A pretrained model that learns as `hparams.tune` says, on this machine's device and within its memory."""

    AUTO: ClassVar[Any]  # the class that opens its body
    body: Any
    head: Any

    def __init__(
        self,
        body: PreTrainedModel,
        hparams: Finetune,
        rng: torch.Generator,
        where: Path,
        head: nn.Module | None = None,
    ) -> None:
        """`rng` draws adapters, if any."""
        super().__init__()
        config = body.config
        self.head = head
        self.parameter_count = sum(parameter.numel() for parameter in body.parameters())
        self.body = tuning.adapt(body, hparams, rng)
        self.tune = hparams.tune
        sizes = self.parameter_count, self.trainable, width(config), config.get_text_config().num_hidden_layers
        words = 0 if body.get_output_embeddings() is None else config.get_text_config().vocab_size
        self.budget = Budget(memory.budget(*sizes, hparams, str(where), words))
        self.to(hardware.device())

    @property
    def trainable(self) -> int:
        """Number of weights that learn."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def trainable_state_dict(self) -> dict[str, Tensor]:
        """A copy, in the machine's own memory, of the weights that learn."""
        learning = ((name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad)
        return {name: parameter.detach().to("cpu", copy=True) for name, parameter in learning}

    def save(self, folder: Path, whole: bool) -> None:
        """Write what was tuned and, if asked for or if that is everything, a whole checkpoint; safetensors only."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.tune != "full":
            _save(self.trainable_state_dict(), folder / TUNED)
        if self.tune == "full" or whole:
            tuning.merged(self.body).save_pretrained(folder)
            if self.head:
                _save(self.head.state_dict(), folder / HEAD)

    @classmethod
    def configured(cls, folder: Path, base: Path | None = None) -> PretrainedConfig:
        """The configuration that the body is opened with."""
        return without_dropout(opened(AutoConfig, folder, base=base))

    @classmethod
    def load_base(cls, folder: Path, hparams: Finetune, rng: torch.Generator, base: Path | None = None) -> Self:
        """As it was pretrained, any head fresh; what does not learn is held in the precision it computes in.

        `base` is what the model in `folder` was tuned from, if that is not a base model itself.
        """
        bf16 = hparams.tune != "full" and hardware.bf16(hparams)
        config = cls.configured(folder, base)
        body = opened(cls.AUTO, folder, torch.bfloat16 if bf16 else torch.float32, base, config=config)
        return cls(body, hparams, rng, folder)

    @classmethod
    def from_scratch(cls, folder: Path, hparams: Finetune, seed: int) -> Self:
        """The same architecture with the random weights its own initialiser draws, all of which learn."""
        config = cls.configured(folder)
        with torch.random.fork_rng(devices=[]):  # HF initialisers know the global generator only
            torch.default_generator.manual_seed(seed)
            body = cls.AUTO.from_config(config, dtype=torch.float32, trust_remote_code=trusted(folder))
        hparams = hparams.model_copy(update={"tune": "full"})
        return cls(body, hparams, torch.Generator(), folder)

    @classmethod
    def load_tuned(cls, folder: Path, base: Path, hparams: Finetune) -> Self:
        """A finetuned model as `save` wrote it; `base` is what it was tuned from."""
        try:
            if hparams.tune == "full":
                model = cls.load_base(folder, hparams, torch.Generator(), base)
                if model.head:
                    model.head.load_state_dict(load_file(folder / HEAD))
                return model
            model, tuned = cls.load_base(base, hparams, torch.Generator()), load_file(folder / TUNED)
            if tuned.keys() != {name for name, parameter in model.named_parameters() if parameter.requires_grad}:
                raise ValueError(f"it holds other weights than tune: {hparams.tune} makes")
            model.load_state_dict(tuned, strict=False)
            return model
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise damaged(folder, error) from None


class ScalarHead(Head):
    """A body and a zero-initialised linear layer on one hidden state of the text (paper, appendix A).

    That is the last real token's, or for an encoder, which reads in both directions, the first token's. One logit z per
    text serves both binary settings: P(true) = σ(z), and P(a over b) = σ(z_a − z_b).
    """

    AUTO = AutoModel

    def __init__(self, body: PreTrainedModel, hparams: Finetune, rng: torch.Generator, where: Path) -> None:
        head = nn.utils.skip_init(nn.Linear, width(body.config), 1, dtype=torch.float32)  # draws nothing
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        super().__init__(without_pooler(body), hparams, rng, where, head)
        self.encoder = is_encoder(body.config)
        self.feature_cache: dict[bytes, Tensor] | None = {} if hparams.tune == "head" else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask, both [batch, length], to fp32 logits [batch]; padding is on the right.

        For bodies with relative positions, the embedded ones among them, it may be on either side.
        """
        features = self.features(input_ids, attention_mask)
        with torch.autocast(features.device.type, enabled=False):
            return self.head(features.float()).squeeze(-1)

    def features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The hidden state that the head reads, [batch, hidden]; where only the head learns, each text is read once."""
        if self.feature_cache is None:
            return self._read(input_ids, attention_mask)
        rows = zip(input_ids.cpu(), attention_mask.bool().cpu(), strict=True)
        texts = [ids[real].numpy().tobytes() for ids, real in rows]
        if new := {text: index for index, text in enumerate(texts) if text not in self.feature_cache}:
            places = list(new.values())
            with torch.no_grad():
                features = self._read(input_ids[places], attention_mask[places]).float().cpu()
            self.feature_cache.update(zip(new, features, strict=True))
        return torch.stack([self.feature_cache[text] for text in texts]).to(input_ids.device)

    def _read(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        cache = {} if self.encoder else {"use_cache": False}
        hidden = self.body(input_ids=input_ids, attention_mask=attention_mask, **cache).last_hidden_state
        positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
        place = attention_mask.argmax(dim=1) if self.encoder else (attention_mask * positions).argmax(dim=1)
        return hidden[torch.arange(len(place), device=place.device), place]


class LanguageHead(Head):
    """A causal language model with its own head over words; it answers by going on with a text."""

    AUTO = AutoModelForCausalLM

    @classmethod
    def configured(cls, folder: Path, base: Path | None = None) -> PretrainedConfig:
        config = super().configured(folder, base)
        if is_encoder(config):
            raise MissingHeadError(f"{folder}: an encoder fills masks and cannot go on with a text")
        return config

    def __init__(self, body: PreTrainedModel, hparams: Finetune, rng: torch.Generator, where: Path) -> None:
        body.generation_config = GenerationConfig()  # a checkpoint's own may sample, or punish repetition
        super().__init__(body, hparams, rng, where)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, places: Tensor) -> Tensor:
        """fp32 logits [batch, places, words] of the word after each of these positions; padding is on the right."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "use_cache": False}
        return self.body(**given, logits_to_keep=places).logits.float()

    @torch.no_grad()
    def generate(self, input_ids: Tensor, attention_mask: Tensor, tokens: int, pad: int, end: int | None) -> Tensor:
        """The most likely token after each text, then the next, up to `tokens` of them or `end`: [batch, ≤ tokens].

        Padding is on the left; keys and values of what was read are cached. Behind `end` comes nothing but `end`, since
        `pad` may be a word.
        """
        filler = pad if end is None else end
        how = GenerationConfig(do_sample=False, max_new_tokens=tokens, pad_token_id=filler, eos_token_id=end)
        out = self.body.generate(input_ids=input_ids, attention_mask=attention_mask, generation_config=how)
        return out[:, input_ids.shape[1] :]


def without_dropout(config: PretrainedConfig) -> PretrainedConfig:
    """Nothing is dropped out in finetuning: the same update then comes out however memory cuts a batch."""
    for name, value in vars(config).items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    return config


def _save(tensors: Mapping[str, Tensor], path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
