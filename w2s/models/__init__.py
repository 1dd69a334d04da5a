"""Base models as ordinary Hugging Face checkpoints, and the head that finetuning puts on them."""
