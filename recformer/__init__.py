"""Recformer: train transformer recommenders, watch them live, compare them honestly."""

__version__ = "0.1.0"
