"""Recformer: train transformer recommenders, watch them live, compare them honestly."""

import os

__version__ = "0.1.0"

# OpenMP's threads wait busily for their next work by default. Beside any other work they take one another's cores that
# way: PyTorch's steps fell to a twentieth of their speed. The variable is read once, when PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
