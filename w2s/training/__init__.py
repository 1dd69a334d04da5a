"""Batches, losses, methods and the one loop that trains everything."""
