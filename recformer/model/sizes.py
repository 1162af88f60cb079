"""What a model must know of its data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Sizes that come from the dataset and the window, not from the model's own options."""

    num_tokens: int
    """V: items, then SOS and EOS."""
    num_users: int
    window: int
    """T: tokens of the input."""
