"""Base models as ordinary Hugging Face checkpoints, and the head that finetuning puts on them."""

from transformers.utils import logging

logging.disable_progress_bar()  # training has a bar of its own
