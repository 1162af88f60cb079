"""A duplication penalty that trains: the probability on repeats, in place of whether the first one is a repeat."""

from torch import Tensor
from torch.nn import functional

from recformer.config import Options, option
from recformer.loss.seen import Seen, Span
from recformer.registry import LOSSES


class SoftPenaltyOptions(Options):
    name: str = "soft_penalty"
    penalty: float = option(
        1.0,
        "Penalty λ",
        "How much the probability that the model gives to repeats counts beside its error. 0 trains as cross_entropy.",
        group="Loss",
        ge=0,
        le=1000,
    )
    of: Span = option(
        "window",
        "What counts as a repeat",
        "window: the items of the input window, which is what duplication/window@k counts. history: every item the "
        "user had before.",
        group="Loss",
    )


@LOSSES.register("soft_penalty")
class SoftPenalty:
    """Cross-entropy + λ · mean over the batch of m, the softmax probability of all repeats together.

    The derivative of m to the logit of item j with probability p_j is p_j (1 − m) for a repeat and −p_j m for
    any other: gradient descent lowers repeats and raises the rest. It vanishes where m is 1.
    Four equal logits of which two are repeats: m = 0.5, the loss is log 4 + 0.5 λ = 1.886 with λ = 1.
    Source: the article's penalty with the argmax replaced by the softmax.
    """

    Options = SoftPenaltyOptions

    def __init__(self, options: SoftPenaltyOptions) -> None:
        self.options = options

    def __call__(self, logits: Tensor, targets: Tensor, seen: Seen) -> Tensor:
        """Loss of a batch: (B, V) float, (B,) int64 tokens, what was seen → () float."""
        repeats = seen.repeats(self.options.of, targets)  # (B, V)
        mass = (logits.softmax(dim=1) * repeats).sum(dim=1)  # (B,)
        return functional.cross_entropy(logits, targets) + self.options.penalty * mass.mean()
