"""Recommenders without training that every model should beat: one file each, registered by name."""
