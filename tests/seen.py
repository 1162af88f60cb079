"""What was seen before each target of a batch, written down by hand."""

from collections.abc import Sequence

import torch

from recformer.loss.seen import Seen, Sequences


def seen_from(histories: Sequence[Sequence[int]], size: int, num_items: int) -> Seen:
    """One user a row: all tokens before the target, of which the last `size` are the window."""
    ends = torch.tensor([len(history) for history in histories]).cumsum(0)
    tokens = torch.tensor([token for history in histories for token in history])
    sequences = Sequences(tokens, torch.cat([torch.tensor([0]), ends]), num_items)
    window = torch.tensor([list(history[-size:]) for history in histories])
    return Seen(sequences, window, torch.arange(len(histories)), ends)
