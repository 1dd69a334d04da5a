"""The one loop that trains everything, and finetuning with it."""
