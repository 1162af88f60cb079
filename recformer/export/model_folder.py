"""A model written into a folder that needs nothing else of this machine."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

from recformer.checkpoint.load import load
from recformer.checkpoint.weights import write_weights
from recformer.data.dataset import Dataset
from recformer.errors import StoreError, UsageError
from recformer.evaluation.dataset_check import check_fit
from recformer.export.model_card import model_card
from recformer.files.temporary_folder import temporary_folder
from recformer.files.writing import write_json, write_text
from recformer.run.model_ref import ModelRef
from recformer.run.paths import Root
from recformer.run.record import read_settings

EXAMPLE = Path(__file__).parent / "example.jinja"


def export_model(root: Root, model: ModelRef, dataset: Dataset, to: Path) -> list[Path]:
    """Write a model into the new folder `to`, which is there when it is whole; returns the files.

    model.safetensors (weights with their record), config.json (model, sizes, what it was trained on, settings of its
    run), item_ids.json (ids of the item tokens 0, 1, 2, …, as they came), README.md (model card, of the evaluations
    that are stored), example.py (loads the folder and scores). No user ids, no interactions, no paths.

    Raises UsageError where `to` is there, for a baseline and for lists made elsewhere; CheckpointError; DataError for a
    dataset that is not the model's; StoreError when the disk refuses.
    """
    if os.path.lexists(to):
        raise UsageError(f"{to} is there already. Name a folder that is not")
    if model.is_lists:
        raise UsageError(
            f"{model.run} has lists that were made elsewhere: there is no model to export. Name a trained run"
        )
    network, info = load(model.path)
    check_fit(root, info, dataset, model)
    info = replace(info, init_from=None if info.init_from is None else Path(info.init_from).name)
    card = model_card(root, model, info, dataset)
    try:
        with temporary_folder(to.parent, "model") as folder:
            write_weights(folder / "model.safetensors", network, info)
            write_json(folder / "config.json", asdict(info) | {"settings": _settings(root, model)})
            write_text(folder / "item_ids.json", json.dumps(dataset.item_ids.tolist(), ensure_ascii=False) + "\n")
            write_text(folder / "README.md", card)
            write_text(folder / "example.py", EXAMPLE.read_text(encoding="utf-8"))
            names = sorted(path.name for path in folder.iterdir())
            folder.rename(to)
    except OSError as error:
        raise StoreError(f"could not write {to}: {error.strerror or error}. Check its folder and free space") from error
    return [to / name for name in names]


def _settings(root: Root, model: ModelRef) -> dict[str, object]:
    """The settings of its run; none for a file outside of models/."""
    return {} if model.run_id is None else read_settings(root.run(model.run_id))
