"""Cross-entropy among what may still be shown: seen items are taken out in training as they are in use."""

from math import inf

from torch import Tensor
from torch.nn import functional

from recformer.config import Options, option
from recformer.loss.seen import Seen, Span
from recformer.registry import LOSSES


class MaskedSoftmaxOptions(Options):
    name: str = "masked_softmax"
    of: Span = option(
        "history",
        "What is taken out",
        "history: every item the user had before, as the app does when it recommends. window: the items of the input "
        "window alone. What is taken out is not trained on: unmasked lists may repeat more than with cross_entropy.",
        group="Loss",
    )


@LOSSES.register("masked_softmax")
class MaskedSoftmax:
    """Mean over the batch of −log softmax(logits without what was seen)[target]; the target itself always stays.

    What is taken out has a gradient of exactly 0: nothing is learned about its order, which no masked list shows.
    Four equal logits of which two were seen: log 2 = 0.693 in place of log 4.
    """

    Options = MaskedSoftmaxOptions

    def __init__(self, options: MaskedSoftmaxOptions) -> None:
        self.options = options

    def __call__(self, logits: Tensor, targets: Tensor, seen: Seen) -> Tensor:
        """Loss of a batch: (B, V) float, (B,) int64 tokens, what was seen → () float."""
        return functional.cross_entropy(logits.masked_fill(seen.repeats(self.options.of, targets), -inf), targets)
