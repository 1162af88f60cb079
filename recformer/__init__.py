"""Recformer: train transformer recommenders, watch them live, compare them honestly."""

import os

__version__ = "0.1.0"

# OpenMP's threads wait busily for their next work by default. Beside any other work they take one another's cores that
# way: PyTorch's steps fell to a twentieth of their speed. Threads that sleep at once are half as fast where nothing
# else runs, so these wait busily for some microseconds first. Read once, when PyTorch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
