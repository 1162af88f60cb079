"""All of a log but its curves, read once: texts, histograms, images and hyper-parameters of its event files."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util.tensor_util import make_ndarray

from recformer.errors import StoreError
from recformer.files import gate
from recformer.logs import by_step
from recformer.logs.bounds import is_number, printable
from recformer.logs.events import EVENT
from recformer.logs.files import find_event_files
from recformer.logs.tfrecord import scan

MOST_BYTES = 1 << 24
MOST_STEPS = 200
MOST_TAGS = 12
MOST_CHARACTERS = 10_000
MOST_IMAGE_BYTES = 1 << 23
_IMAGE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")
_HPARAMS: Any = plugin_data_pb2.HParamsPluginData  # pyright: ignore[reportAttributeAccessIssue]
_HPARAMS_TAG = "_hparams_/session_start_info"
# What a content that nobody foresees makes protobuf and NumPy raise.
_UNFORESEEN = (DecodeError, ValueError, TypeError, LookupError, AttributeError)
_Buckets = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Edges (b + 1,) and counts (b,)."""


@dataclass(frozen=True)
class Text:
    """The last text under a tag."""

    tag: str
    step: int
    text: str
    """At most MOST_CHARACTERS of it."""
    cut: bool
    """Whether it was longer."""
    logged: int
    """How many there were."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """A histogram over the steps, thinned to MOST_STEPS of them; each has edges of its own."""

    tag: str
    step: NDArray[np.int64]
    """(n,) ascending."""
    edges: list[NDArray[np.float64]]
    """n arrays (b + 1,), ascending and finite."""
    counts: list[NDArray[np.float64]]
    """n arrays (b,): how many values lie between two edges."""
    logged: int
    """How many steps there were."""


@dataclass(frozen=True)
class Image:
    """The last image under a tag, as its file: PNG, JPEG or GIF."""

    tag: str
    step: int
    content: bytes


@dataclass
class LogDetails:
    """What a log holds besides curves, by tag; a tag of a folder within the run's begins with that folder's name."""

    texts: list[Text] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    hyperparameters: dict[str, bool | float | str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    """What is not shown and why, in words."""

    @property
    def empty(self) -> bool:
        return not (self.texts or self.histograms or self.images or self.hyperparameters)


def event_files(folder: Path) -> list[Path]:
    """The event files of a log but those of scalars by step, in TensorBoard's order. Raises StoreError."""
    try:
        return [path for path in find_event_files(folder).paths(folder) if path.parent != folder / by_step.FOLDER]
    except OSError as error:
        raise StoreError(f"{folder} could not be read: {error.strerror or error}") from error


def stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size in bytes and time in nanoseconds of each event file: equal while nothing was added."""
    found: list[tuple[str, int, int]] = []
    for path in event_files(folder):
        with suppress(FileNotFoundError):  # deleted since it was listed
            stat = path.stat()
            found.append((str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def read_whole(folder: Path) -> LogDetails:
    """What is in the event files below `folder`, but for scalars; damage is left out and named.

    Where a step was logged twice, the later one holds; of hyper-parameters the first, as in TensorBoard.
    Raises StoreError when a file cannot be read or is too large.
    """
    collected = _Collected()
    for path in event_files(folder):
        prefix = "" if path.parent == folder else f"{printable(path.parent.relative_to(folder).as_posix())}/"
        _read(path, folder, prefix, collected)
    gaps = collected.gaps
    if collected.wrong_histograms:
        count = collected.wrong_histograms
        gaps.append(f"{count:,} histogram{'s hold' if count > 1 else ' holds'} no numbers and cannot be drawn.")
    return LogDetails(
        texts=_first("texts", [_last_text(tag, logged) for tag, logged in collected.texts.items()], gaps),
        histograms=_first("histograms", [_thinned(tag, steps) for tag, steps in collected.histograms.items()], gaps),
        images=_first("images", list(collected.images.values()), gaps),
        hyperparameters=dict(sorted(collected.hyperparameters.items())),
        gaps=gaps,
    )


@dataclass
class _Collected:
    """What was found in the files so far, by tag."""

    texts: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Step and text of each."""
    histograms: dict[str, dict[int, _Buckets]] = field(default_factory=dict)
    wrong_histograms: int = 0
    images: dict[str, Image] = field(default_factory=dict)
    hyperparameters: dict[str, bool | float | str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)

    def add_text(self, tag: str, step: int, value: Any) -> None:
        content: Any = make_ndarray(value.tensor).item()
        text = content.decode("utf-8")
        self.texts.setdefault(tag.removesuffix("/text_summary"), []).append((step, text))

    def add_histogram(self, tag: str, step: int, value: Any) -> None:
        """Add one of the old encoding, which has its limits, or of the new one, a tensor of left, right, count."""
        buckets = _from_limits(value.histo) if value.HasField("histo") else _from_tensor(make_ndarray(value.tensor))
        if buckets is None:
            self.wrong_histograms += 1
        else:
            self.histograms.setdefault(tag, {})[step] = buckets

    def add_image(self, tag: str, step: int, value: Any) -> None:
        """Add one of the old encoding, or of the new one, a tensor of width, height, images."""
        old = value.HasField("image")
        for content in [value.image.encoded_image_string] if old else value.tensor.string_val[2:3]:
            if content.startswith(_IMAGE_STARTS) and len(content) <= MOST_IMAGE_BYTES:
                self.images[tag] = Image(tag, step, content)

    def add_hyperparameters(self, _tag: str, _step: int, value: Any) -> None:
        start = _HPARAMS.FromString(value.metadata.plugin_data.content).session_start_info
        for name, entry in start.hparams.items():
            kind = entry.WhichOneof("kind")
            if kind in ("number_value", "string_value", "bool_value"):
                self.hyperparameters.setdefault(name, getattr(entry, kind))


_ADDING = {
    "texts": _Collected.add_text,
    "histograms": _Collected.add_histogram,
    "images": _Collected.add_image,
    "hyper-parameters": _Collected.add_hyperparameters,
}


def _read(path: Path, folder: Path, prefix: str, collected: _Collected) -> None:
    data = _content(path)
    found = scan(data)
    damaged = found.damaged if found.suspect is None else [*found.damaged, found.suspect]
    plugins: dict[str, str] = {}  # a writer may name the plugin at a tag's first value alone
    failed: dict[str, str] = {}
    for position, record in found.records:
        try:
            event = EVENT.FromString(record)
        except DecodeError:
            damaged.append(position)
            continue
        for value in event.summary.value:
            plugin = plugins[value.tag] = plugins.get(value.tag) or value.metadata.plugin_data.plugin_name
            if (kind := _kind_of(value, plugin)) is None:
                continue
            try:
                _ADDING[kind](collected, prefix + value.tag, event.step, value)
            except _UNFORESEEN as error:
                reason = f"{type(error).__name__} {' '.join(str(error).split())[:200]}"
                failed.setdefault(kind, f"The {kind} of {path.name} could not be read: {reason.strip()}.")
    collected.gaps += failed.values()
    if damaged:
        place = f"byte {min(damaged):,} of {len(data):,}"
        collected.gaps.append(f"{path.relative_to(folder)} is damaged at {place}: what was there is left out.")


def _kind_of(value: Any, plugin: str) -> str | None:
    """Which of _ADDING takes a summary value; None where it is a scalar or nothing that is shown."""
    if value.HasField("histo"):
        return "histograms"
    if value.HasField("image"):
        return "images"
    if plugin == "hparams":
        return "hyper-parameters" if value.tag == _HPARAMS_TAG else None
    if not value.HasField("tensor"):
        return None
    return {"text": "texts", "histograms": "histograms", "images": "images"}.get(plugin)


def _content(path: Path) -> bytes:
    """All of an event file. Raises StoreError where it cannot be read or is too large."""
    try:
        with gate.open_file(path, gate.EVENTS) as file:
            size = file.seek(0, 2)
            if size > MOST_BYTES:
                raise StoreError(
                    f"{path} has {size / 2**20:,.0f} MB; here at most {MOST_BYTES >> 20} MB of a log are read at once. "
                    f"Look at {path.parent} in TensorBoard"
                )
            file.seek(0)
            return file.read()
    except OSError as error:
        raise StoreError(f"{path} could not be read: {error.strerror or error}") from error


def _last_text(tag: str, logged: list[tuple[int, str]]) -> Text:
    step, text = max(reversed(logged), key=lambda entry: entry[0])  # of one step the later one
    return Text(tag, step, text[:MOST_CHARACTERS], len(text) > MOST_CHARACTERS, len(logged))


def _from_limits(value: Any) -> _Buckets | None:
    limits, counts = np.array(value.bucket_limit, np.float64), np.array(value.bucket, np.float64)
    if len(counts) and counts[0] == 0:  # the first limit is the left edge of the second bucket
        edges, counts = limits, counts[1:]
    else:
        edges = np.concatenate([[value.min], limits])
    # TensorFlow's outermost buckets reach to the largest numbers that there are.
    return _checked(np.clip(edges, value.min, value.max), counts)


def _from_tensor(tensor: NDArray[Any]) -> _Buckets | None:
    rows = np.asarray(tensor, np.float64)
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows):
        return None
    return _checked(np.concatenate([rows[:1, 0], rows[:, 1]]), rows[:, 2])


def _checked(edges: NDArray[np.float64], counts: NDArray[np.float64]) -> _Buckets | None:
    """None for what no histogram can be: no bucket, edges that are no numbers or go back, counts that are none."""
    if not len(counts) or len(edges) != len(counts) + 1 or not is_number(np.concatenate([edges, counts])).all():
        return None
    return (edges, counts) if (np.diff(edges) >= 0).all() and (counts >= 0).all() else None


def _thinned(tag: str, points: dict[int, _Buckets]) -> Histogram:
    steps = sorted(points)
    kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_STEPS)).round().astype(np.int64))
    shown = [steps[place] for place in kept.tolist()]
    edges, counts = [points[step][0] for step in shown], [points[step][1] for step in shown]
    return Histogram(tag, np.array(shown, dtype=np.int64), edges, counts, len(steps))


def _first(kind: str, found: list[Any], gaps: list[str]) -> list[Any]:
    """The first MOST_TAGS of `found` by tag; how many more there are is said."""
    if len(found) > MOST_TAGS:
        gaps.append(f"The log has {kind} under {len(found)} tags; the first {MOST_TAGS} by name are shown.")
    return sorted(found, key=lambda one: one.tag)[:MOST_TAGS]
