"""Cross-entropy of the next token."""

from torch import Tensor
from torch.nn import functional

from recformer.config import Options
from recformer.loss.seen import Seen
from recformer.registry import LOSSES


class CrossEntropyOptions(Options):
    name: str = "cross_entropy"


@LOSSES.register("cross_entropy")
class CrossEntropy:
    """Mean over the batch of −log softmax(logits)[target]. Two equal logits cost log 2 = 0.693."""

    Options = CrossEntropyOptions

    def __init__(self, options: CrossEntropyOptions) -> None:
        self.options = options

    def __call__(self, logits: Tensor, targets: Tensor, seen: Seen) -> Tensor:  # noqa: ARG002  one signature for every loss
        """Loss of a batch.

        Args:
            logits: (B, V) float.
            targets: (B,) int64, tokens.
            seen: what the users had before (not used here).

        Returns:
            () float.
        """
        return functional.cross_entropy(logits, targets)
