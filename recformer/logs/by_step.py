"""Curves by optimizer step, which a run keeps in a folder beside its log by epoch.

They have a folder of their own because a log has one meaning of "step": when a run is resumed, TensorBoard takes back
all that was logged from one step on, whatever the tag.
"""

from collections.abc import Mapping

import numpy as np

from recformer.logs.series import Curve, joined

FOLDER = "by_step"
TRAIN = "loss/train"
_SUFFIX = "_step"


def tag_by_step(tag: str) -> str:
    """The tag under which what `tag` says by epoch is logged by step; another one, so that no chart mixes both."""
    return f"{tag}{_SUFFIX}"


def is_by_step(tag: str) -> bool:
    """Whether RunLog's tag is of the folder of curves by step."""
    return tag.startswith(f"{FOLDER}/") and tag.endswith(_SUFFIX)


def by_epoch(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """The curves of a run's log but those by step."""
    return {tag: curve for tag, curve in curves.items() if not is_by_step(tag)}


def by_step(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """The curves by step, each under the tag that says the same by epoch: loss/train, lr."""
    return {tag[len(FOLDER) + 1 : -len(_SUFFIX)]: curve for tag, curve in curves.items() if is_by_step(tag)}


def in_epochs(curves: Mapping[str, Curve], per_epoch: int) -> tuple[dict[str, Curve], dict[str, Curve]]:
    """A run's curves with the points by step among those by epoch, at shares of it; and the training loss by step.

    `per_epoch`: optimizer steps in an epoch. As soon as the training loss by epoch is a line, its points by step are in
    the second mapping alone: they scatter.
    """
    epochs, steps = by_epoch(curves), by_step(curves)
    scattered: dict[str, Curve] = {}
    for tag, curve in steps.items():
        known = epochs.get(tag)
        if tag == TRAIN and known is not None and len(known) > 1:
            scattered[tag] = _with_shares(None, curve, per_epoch)
        else:
            epochs[tag] = _with_shares(None if tag == TRAIN else known, curve, per_epoch)
    return epochs, scattered


def _with_shares(epochs: Curve | None, steps: Curve, per_epoch: int) -> Curve:
    """The points of both by epoch; where both have one, that of `steps` holds."""
    shares = Curve(steps.step / per_epoch, steps.wall_time, steps.value)
    if epochs is None:
        return shares
    both = joined([epochs.part(~np.isin(epochs.step * per_epoch, steps.step)), shares])
    return both.part(np.argsort(both.step))
