"""The one loop that finetunes everything, and what goes on in it."""
