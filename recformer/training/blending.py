"""A blend of models: their checkpoints read, checked and copied, and weights chosen on the validation part."""

from collections.abc import Callable
from itertools import product

import numpy as np
import torch

from recformer.checkpoint.info import UNKNOWN, CheckpointInfo, Provenance
from recformer.checkpoint.load import load
from recformer.config import TrainConfig
from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared
from recformer.errors import UsageError, count
from recformer.evaluation.dataset_check import check_fit
from recformer.evaluation.evaluate import known_cases_of
from recformer.evaluation.provenance import trainings_of
from recformer.evaluation.ranker import BATCH, rank_batch
from recformer.evaluation.ranks import batches
from recformer.evaluation.store import digest_of
from recformer.model.blend import Blend, BlendOptions, PartRecord, weighted
from recformer.model.sizes import Sizes
from recformer.registry import METRICS
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root

MOST_CASES = 10_000  # of the validation part that choose
STEPS = {2: 20, 3: 10, 4: 5, 5: 5}  # into which 1 is divided, by the number of models: 21, 66, 56 and 126 choices


def blended(
    root: Root,
    config: TrainConfig,
    dataset: Dataset,
    prepared: Prepared,
    device: torch.device,
    should_stop: Callable[[], bool],
) -> tuple[Blend, list[Provenance]] | None:
    """The blend that is asked for, and what its parts were trained on; None when stopped.

    Raises UsageError for a part that is not there or has seen the validation part, DataError for one of other data,
    CheckpointError for one that is damaged.
    """
    options = config.model
    assert isinstance(options, BlendOptions)
    if not 2 <= len(options.parts) <= len(set(options.parts)):
        raise UsageError(
            f"model.parts names {count(len(set(options.parts)), 'model')}; name two to five different ones",
            cli="For example --set 'model.parts=[first, second]'",
            page="Choose them under Models",
        )
    if not config.validates and not options.weights:
        raise UsageError(
            "with train_on = train_and_validation nothing is left to choose a blend's weights by: set model.weights"
        )
    references = [find_model(root, name) for name in options.parts]
    parts, infos = zip(*(load(reference.path) for reference in references), strict=True)
    for reference, info in zip(references, infos, strict=True):
        _check(root, reference, info, dataset, prepared, config)
    records = tuple(
        PartRecord(name=str(reference), digest=digest_of(reference.path), model=info.model, sizes=info.shape)
        for reference, info in zip(references, infos, strict=True)
    )
    sizes = Sizes(
        prepared.histories.num_tokens,
        max(info.shape.num_users for info in infos),
        max(info.shape.window for info in infos),
    )
    blend = Blend(options.model_copy(update={"records": records}), sizes)
    for copy, part in zip(blend.parts, parts, strict=True):
        copy.load_state_dict(part.state_dict())
    blend.to(device).eval()
    weights = options.weights or best_weights(blend, prepared, device, should_stop)
    if weights is None:
        return None
    blend.options = blend.options.model_copy(update={"weights": weights})
    known = [trainings_of(root, *pair) or [UNKNOWN] for pair in zip(references, infos, strict=True)]
    return blend, [training for trainings in known for training in trainings]


def _check(
    root: Root, part: ModelRef, info: CheckpointInfo, dataset: Dataset, prepared: Prepared, config: TrainConfig
) -> None:
    check_fit(root, info, dataset, part)
    known = known_cases_of(root, part, info, dataset, prepared, "validation")
    if config.validates and known.trained_on:
        raise UsageError(
            f"{part} was trained on {known.trained_on:,} of the validation cases, so that they would favour it. Blend "
            "what was not, or give the weights and choose train_on = train_and_validation: it is then judged on the "
            "test alone"
        )


@torch.no_grad()
def best_weights(
    blend: Blend, prepared: Prepared, device: torch.device, should_stop: Callable[[], bool]
) -> tuple[float, ...] | None:
    """The weights, a grid of parts that sum to 1, with the highest NDCG@10 on validation, the history masked; None when
    stopped."""
    histories, cases, ndcg = prepared.histories, prepared.split.validation, METRICS.get("ndcg")
    cases = cases[np.unique(np.linspace(0, len(cases) - 1, min(len(cases), MOST_CASES), dtype=np.int64))]
    choices = grid(len(blend.parts))
    gains = np.zeros(len(choices))
    for batch in batches(cases, BATCH, histories.num_tokens):
        if should_stop():
            return None
        tokens = torch.from_numpy(histories.inputs(batch, blend.sizes.window)).to(device)
        scores = blend.part_scores(tokens, torch.from_numpy(batch.users).to(device))
        for place, weights in enumerate(choices):
            ranks = rank_batch(weighted(scores, weights), histories, batch, prepared.split.item_set)
            gains[place] += ndcg(ranks.places("history"), 10, ranks.num_targets).sum()
    return choices[int(gains.argmax())]


def grid(count: int) -> list[tuple[float, ...]]:
    """Weights of `count` models that sum to 1, all choices in steps of a twentieth to a fifth."""
    steps = STEPS[count]
    return [
        tuple(part / steps for part in parts)
        for parts in product(range(steps + 1), repeat=count)
        if sum(parts) == steps
    ]
