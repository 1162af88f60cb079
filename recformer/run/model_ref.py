"""Which model is meant: parsed once from text, and carried as a type from there on."""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recformer.errors import UsageError
from recformer.files.names import RUN_ID, expanded
from recformer.registry import BASELINES
from recformer.run.paths import CHECKPOINT_FILES, LISTS, Root

PREFIX = "baseline:"


@dataclass(frozen=True)
class ModelRef:
    """A run's checkpoint or lists, a checkpoint file outside of models/, or a baseline. `str` gives its name back."""

    name: str
    """best, last, lists, the file's name, or the baseline's registered name."""
    run_id: str | None = None
    """None for a baseline and for a file outside of models/."""
    file: Path | None = None
    """None for a baseline."""

    @classmethod
    def of_run(cls, root: Root, run_id: str, name: str = "best") -> "ModelRef":
        """A run's best or last checkpoint, or its lists, whether it is there or not."""
        return cls(name, run_id, root.model(run_id) / CHECKPOINT_FILES[name])

    @property
    def is_baseline(self) -> bool:
        return self.file is None

    @property
    def is_lists(self) -> bool:
        """Whether it is lists that were made elsewhere, not a model that can be asked."""
        return self.name == LISTS and self.run_id is not None

    @property
    def path(self) -> Path:
        """The checkpoint's file. Raises UsageError for a baseline, which has none."""
        if self.file is None:
            raise UsageError(f"{self} is counted from the data and has no checkpoint: name a run or a checkpoint file")
        return self.file

    @property
    def run(self) -> str:
        """What results call it beside its checkpoint: the run's id, baseline:NAME, or the file's name."""
        return self.run_id or (PREFIX + self.name if self.file is None else self.file.stem)

    @property
    def checkpoint(self) -> str:
        """best, last, lists, the file's name, or "baseline"."""
        return "baseline" if self.is_baseline else self.name

    def __str__(self) -> str:
        if self.file is None:
            return PREFIX + self.name
        return f"{self.run_id}/{self.name}" if self.run_id else str(self.file)


def all_baselines() -> list[ModelRef]:
    """All baselines, as they stand in every first comparison."""
    return [ModelRef(name) for name in BASELINES.names()]


def model_label(labels: Mapping[str, str], model: ModelRef) -> str:
    """The name people know a model by, with the runs' labels; that it is the best checkpoint goes without saying."""
    if model.is_baseline:
        return BASELINES.get(model.name).TITLE
    label = labels.get(model.run, model.run)
    return label if model.name == "best" else f"{label} ({model.name})"


def find_model(root: Root, text: str) -> ModelRef:
    """The model that `text` names: RUN (its best checkpoint, or its lists), RUN/best, RUN/last, RUN/lists, the path of
    a file, or baseline:NAME.

    Raises UsageError naming the baselines, or the runs that come near, when there is none.
    """
    if text.startswith(PREFIX):
        if (ref := ModelRef(text.removeprefix(PREFIX))) not in all_baselines():
            allowed = ", ".join(map(str, all_baselines()))
            raise UsageError(f"there is no baseline {text!r}; allowed: {allowed}")
        return ref
    run_id, _, name = text.partition("/")
    if RUN_ID.fullmatch(run_id) and name in ("", *CHECKPOINT_FILES) and root.model(run_id).is_dir():
        for candidate in [name] if name else CHECKPOINT_FILES:
            if (ref := ModelRef.of_run(root, run_id, candidate)).path.exists():  # what is no file is refused when read
                return ref
        raise UsageError(f"run {run_id!r} has no {name or 'saved'} checkpoint yet; wait for its first epoch to end")
    path = expanded(text)
    if os.path.isfile(path):  # noqa: PTH113  a name too long to be a file's is no error here, unlike Path.is_file's
        return _of_file(root, path.resolve())
    known = [folder.name for folder in root.models.iterdir() if folder.is_dir()] if root.models.is_dir() else []
    if near := difflib.get_close_matches(run_id, known, n=3, cutoff=0.5):
        there = f"; runs of nearly that name: {', '.join(near)}"
    else:
        there = f"; known runs: {', '.join(sorted(known)[:10])}" if known else "; there are no trained runs yet"
    raise UsageError(f"{text!r} is neither a run with a checkpoint nor a file{there}")


def _of_file(root: Root, path: Path) -> ModelRef:
    for name, file in CHECKPOINT_FILES.items():
        if path.name == file and path.parent.parent == root.models.resolve():
            return ModelRef(name, path.parent.name, path)
    return ModelRef(path.name, None, path)
