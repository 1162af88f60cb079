"""What a model must know of its data."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class Sizes:
    """Sizes that come from the dataset and the window, not from the model's own options."""

    num_tokens: Annotated[int, Field(strict=True, ge=3, le=100_000_000)]
    """V: items, then SOS and EOS."""
    num_users: Annotated[int, Field(strict=True, ge=0, le=100_000_000)]
    """0 for a model that knows no users."""
    window: Annotated[int, Field(strict=True, ge=1, le=4096)]
    """T: tokens of the input."""
