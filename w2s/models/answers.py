"""Refuses words for yes and no that a model cannot tell apart, since it is read by their first tokens only."""

from itertools import product
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from w2s.core.errors import UserError
from w2s.core.grid import setting_blocks
from w2s.core.params import Answers, Params
from w2s.models.checkpoints import load_tokenizer
from w2s.models.zero_shot import first_tokens


def require_all(params: Params, model: str, base: Path) -> None:
    """Raise `UserError` for the words of any task in the grid for which the model in `base` is a student."""
    for block in setting_blocks(params.grid).values():
        for task in block.tasks if model in block.strong else []:
            if answers := params.tasks[task].answers:
                require_distinct(load_tokenizer(base), answers, f"params.yaml: tasks.{task}.answers")


def require_distinct(tokenizer: PreTrainedTokenizerBase, answers: Answers, param_path: str) -> None:
    """Raise `UserError` for a word that the tokenizer lacks, or a yes and a no that begin with the same token."""
    words = [*answers.true, *answers.false]
    first = dict(zip(words, first_tokens(tokenizer, words), strict=True))
    for word, token in first.items():
        if token in (-1, tokenizer.unk_token_id):
            raise UserError(f"{param_path}: '{word}' is unknown to the model's tokenizer; choose another word")
    for yes, no in product(answers.true, answers.false):
        if first[yes] == first[no]:
            raise UserError(
                f"{param_path}: to the model '{yes}' and '{no}' are one answer: their first token is the same"
            )
