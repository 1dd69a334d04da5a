"""Every architecture of `AutoModel`, as far as it can be made tiny: it works, or stage `base` refuses it in one line.

Run `python -m benchmarks.architectures [name …]`: for each a repository with random weights is laid into a hub's cache,
pinned as stage `base` does, then finetuned for a step, asked without finetuning, saved and opened again. One line each;
the exit code is 1 where one fails in any other way than by a `UserError`. All 600 take about a quarter of an hour.
"""

import os
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PretrainedConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES
from transformers.utils import logging

from tests import hub
from tests.conftest import hparams_with
from w2s.core.errors import UserError
from w2s.core.params import Hub
from w2s.models.batches import encode, pad_batch
from w2s.models.checkpoints import MissingHeadError, load_tokenizer, max_context, padding, skeleton
from w2s.models.heads import LanguageHead, ScalarHead
from w2s.models.pin import pin
from w2s.models.zero_shot import next_words

POSITIONS = 64
# What a configuration calls its sizes. Heads are 4 × 8 wide.
WIDTHS = (
    "hidden_size d_model n_embd dim embedding_size emb_dim embed_dim model_dim lstm_dim word_embed_proj_dim d_embed"
)
INNER = "intermediate_size ffn_dim n_inner d_inner d_ff encoder_ffn_dim decoder_ffn_dim moe_intermediate_size"
INNER += " shared_expert_intermediate_size ffn_hidden_size feed_forward_size hidden_dim lru_width"
LAYERS = "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers"
HEADS = "num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads"
GROUPS = "num_key_value_heads num_kv_heads n_kv_heads"
PARTS = "head_dim d_head d_kv qk_nope_head_dim qk_rope_head_dim v_head_dim kv_lora_rank q_lora_rank"
EXPERTS = "num_experts n_routed_experts num_local_experts moe_num_experts"
LENGTHS = "max_position_embeddings n_positions max_seq_len max_sequence_length n_ctx max_source_positions"
SIZES = {
    **dict.fromkeys(WIDTHS.split(), 32),
    **dict.fromkeys(INNER.split(), 48),
    # As many as a hybrid needs to have a layer of each kind.
    **dict.fromkeys(LAYERS.split(), 8),
    **dict.fromkeys(HEADS.split(), 4),
    **dict.fromkeys(GROUPS.split(), 2),
    **dict.fromkeys(PARTS.split(), 8),
    **dict.fromkeys(EXPERTS.split(), 4),
    **dict.fromkeys(LENGTHS.split(), POSITIONS),
    "num_experts_per_tok": 2,
    "attention_window": 16,
    "vocab_size": hub.VOCABULARY,
}
LARGEST = 5_000_000  # weights of what still counts as tiny


def main() -> int:
    quiet()
    names = sys.argv[1:] or list(MODEL_MAPPING_NAMES)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            outcome, why = tried(name, Path(folder) / name)
            counts[outcome] += 1
            print(f"{name:28} {outcome:10} {why}", flush=True)
            shutil.rmtree(Path(folder) / name, ignore_errors=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
    return 1 if counts["CRASHED"] else 0


def quiet() -> None:
    """Say nothing but the outcomes, and ask no hub."""
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    warnings.simplefilter("ignore")
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    torch.set_num_threads(1)


def tried(name: str, folder: Path) -> tuple[str, str]:
    """What becomes of an architecture, and why."""
    try:
        made = repository(name, folder / "made")
    except Exception as error:
        # Not every configuration can be made tiny in this general way.
        return "not tiny", short(error)
    huggingface_hub.constants.HF_HUB_CACHE = str(folder / "cache")
    hub.prefill(folder / "cache", "lab/tiny", hub.COMMIT, made)
    entry = Hub(family="hub", repository="lab/tiny", revision="main", parameters=1000)
    try:
        pin(entry, f"params.yaml: models.{name}", folder / "base")
    except UserError as error:
        return "refused", short(error)
    except Exception as error:
        return "CRASHED", f"in base: {short(error)} {place(error)}"
    try:
        return "works", used(folder / "base", folder / "tuned")
    except Exception as error:
        return "CRASHED", f"{short(error)} {place(error)}"


def repository(name: str, folder: Path) -> Path:
    """A repository with a tiny model of random weights and a byte-level tokenizer with all special tokens."""
    config = tiny(CONFIG_MAPPING[name])
    head: Any = AutoModel
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and not config.is_encoder_decoder:
        head = AutoModelForCausalLM
    if type(config) in MODEL_FOR_MASKED_LM_MAPPING and not config.is_encoder_decoder:
        head = AutoModelForMaskedLM
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in head.from_config(config).parameters())
    if size > LARGEST:
        raise ValueError(f"{size:,} weights")
    torch.manual_seed(0)
    model = head.from_config(config)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes between <s> and </s>, of any length."""
    special = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
    inner = Tokenizer(models.BPE(unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=hub.VOCABULARY, special_tokens=[*special.values()], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(hub.CORPUS, trainer)
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", None, [("<s>", 0), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, **{f"{role}_token": token for role, token in special.items()}
    )


def tiny(kind: type[PretrainedConfig]) -> PretrainedConfig:
    """A configuration with all sizes small, those inside it too."""
    known = vars(kind())
    sizes: dict[str, Any] = {key: size for key, size in SIZES.items() if key in known or key in kind.attribute_map}
    sizes |= {
        key: value for key, value in {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}.items() if key in known
    }
    for key, inner in kind.sub_configs.items():
        if inner is not AutoConfig and known.get(key) is not None:
            sizes[key] = tiny(inner).to_dict()
    return kind(**sizes)


def used(base: Path, tuned: Path) -> str:
    """Finetune for a step, save, open again, ask without finetuning and generate; what it cannot answer."""
    hparams = hparams_with(context=POSITIONS)
    tokenizer = load_tokenizer(base)
    short_text, long_text = "a food", "the room was not good and the food was bad " * 20
    model = ScalarHead.load_base(base, hparams, torch.Generator())
    context = int(min(max_context(skeleton(base)), tokenizer.model_max_length, 4 * POSITIONS))
    items = encode(tokenizer, [short_text, long_text], context)
    ids, mask = pad_batch(items, padding(tokenizer, model.body.config))
    model(ids, mask).square().sum().backward()
    model.save(tuned, whole=True)
    again = ScalarHead.load_tuned(tuned, base, hparams)
    if not torch.allclose(again.features(ids, mask), model.features(ids, mask), atol=1e-5):
        raise ValueError("other features after saving")
    lacks = []
    try:
        next_words(base, [short_text, long_text], ["good", "bad"], hparams, context)
    except MissingHeadError:
        lacks.append("no zero-shot")
    try:
        speaker = LanguageHead.load_base(base, hparams, torch.Generator())
        speaker(ids, mask, torch.tensor([3, 5])).sum().backward()
        speaker.generate(ids.flip(1)[:, -8:], mask.flip(1)[:, -8:], 3, 1, 2)
    except MissingHeadError:
        lacks.append("no generation")
    return ", ".join(lacks)


def short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"


def place(error: BaseException) -> str:
    """The last lines of this package and of the other that a traceback goes through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/w2s/" in frame.filename or frame.filename == __file__]
    return " < ".join(f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in (frames[-1], ours[-1]))


if __name__ == "__main__":
    sys.exit(main())
