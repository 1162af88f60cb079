"""The article's duplication penalty, kept to reproduce it: it changes the loss that is shown, not what is learned."""

from typing import Literal

from torch import Tensor
from torch.nn import functional

from recformer.config import Options, option
from recformer.loss.seen import Seen
from recformer.registry import LOSSES


class ArgmaxPenaltyOptions(Options):
    name: str = "argmax_penalty"
    penalty: float = option(
        0.2,
        "Penalty λ",
        "Weight of the penalty. It has no gradient: it raises the loss shown and trains nothing (docs/EVALUATION.md).",
        group="Loss",
        ge=0,
        le=1000,
    )
    reduction: Literal["mean", "median"] = option(
        "mean", "Reduction", "mean as in part 2 of the article, median as in part 3.", group="Loss"
    )


@LOSSES.register("argmax_penalty")
class ArgmaxPenalty:
    """Cross-entropy + λ · mean (or median) over the batch of [argmax of the logits is in the window].

    The indicator is piecewise constant in the logits, so its gradient is zero wherever it exists: the gradient of
    this loss is exactly that of cross-entropy. Source: Sharma, "Transformers for Recommender Systems", parts 2 and 3.
    """

    Options = ArgmaxPenaltyOptions

    def __init__(self, options: ArgmaxPenaltyOptions) -> None:
        self.options = options

    def __call__(self, logits: Tensor, targets: Tensor, seen: Seen) -> Tensor:
        """Loss of a batch: (B, V) float, (B,) int64 tokens, what was seen → () float."""
        repeated = (logits.argmax(dim=1, keepdim=True) == seen.window).any(dim=1).to(logits.dtype)  # (B,)
        reduced = repeated.mean() if self.options.reduction == "mean" else repeated.median()
        return functional.cross_entropy(logits, targets) + self.options.penalty * reduced
