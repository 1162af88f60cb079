"""Checkpoints: their records, their weights in whatever file they come, and a model built of them."""
