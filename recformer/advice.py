"""Several models' recommendations for one user, in the shape that `recommend --json` prints and the app shows."""

from dataclasses import asdict
from typing import Any

from recformer.data.dataset import Dataset
from recformer.errors import UsageError
from recformer.evaluation.evaluate import check_fit
from recformer.evaluation.ranks import Masking
from recformer.inference import recommend, situation_of
from recformer.store import CheckpointRef
from recformer.weights import load


def advise(checkpoints: list[CheckpointRef], dataset: Dataset, user: int, k: int, masking: Masking) -> dict[str, Any]:
    """`{"user", "window", "target", "models": [{"run", "checkpoint", "target_rank", "items"}]}`.

    Ids are the dataset's; SOS, which opens a short window, is left out of "window". Raises UsageError for a user,
    k or mix of windows that is not allowed, CheckpointError, DataError, EvaluationError.
    """
    models: list[dict[str, Any]] = []
    situation = None
    for checkpoint in checkpoints:
        model, info = load(checkpoint.path)
        check_fit(info, dataset, checkpoint)
        if situation is not None and len(situation.window) != info.shape.window:
            raise UsageError(
                f"{checkpoint} has a window of {info.shape.window}, the others one of {len(situation.window)}"
            )
        situation = situation_of(dataset, user, info.shape.window)
        result = recommend(model, dataset, situation, k, masking)
        items = [{name: value for name, value in asdict(item).items() if name != "item_token"} for item in result.items]
        run = checkpoint.run_id or checkpoint.path.stem
        models.append({"run": run, "checkpoint": checkpoint.name, "target_rank": result.target_rank, "items": items})
    if situation is None:
        raise UsageError("name at least one run or checkpoint")
    window = [int(dataset.item_ids[token]) for token in situation.window if token < dataset.num_items]
    return {"user": user, "window": window, "target": int(dataset.item_ids[situation.target]), "models": models}
