"""Which preset to begin with on a dataset: the one that validation found best among those that take about a minute."""

import numpy as np

from recformer.data.dataset import Dataset
from recformer.errors import count

FEWEST = 10_000  # interactions: on fewer nobody has measured anything
SHORT = 15  # interactions of a user
MANY = 500_000  # interactions


def recommended_preset(dataset: Dataset) -> tuple[str, str]:
    """Its name, and why it is recommended here, in words; docs/QUALITY.md has the measurements that this rests on."""
    users, size = count(dataset.num_users, "user"), count(dataset.num_interactions, "interaction")
    half = float(np.median(np.diff(dataset.offsets))) if dataset.num_users else 0.0
    if dataset.num_interactions >= FEWEST and half < SHORT:
        return "ridge", f"half of {users} have fewer than {SHORT} interactions, where counting did better than training"
    if dataset.num_interactions >= MANY:
        return "quick", f"{size} are enough to train a transformer of whole histories in a minute or a few"
    return "fast", f"with {size}, larger models were no better, and slower"
