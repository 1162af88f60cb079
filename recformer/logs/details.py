"""All of a log but its curves, read once: texts, histograms, images and hyper-parameters of its event files.

It reads with tbparse and TensorBoard, which hold a whole file in memory and stop at damage; what is kept is little.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from tbparse import SummaryReader
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from recformer.errors import StoreError
from recformer.files import gate
from recformer.logs import by_step
from recformer.logs.bounds import is_number, printable
from recformer.logs.files import find_event_files
from recformer.logs.reader import RunLog

MOST_BYTES = 1 << 24  # tbparse takes seconds for each megabyte of scalars
MOST_STEPS = 200
MOST_TAGS = 12
MOST_CHARACTERS = 10_000
MOST_IMAGE_BYTES = 1 << 23
_KINDS = {"text": "texts", "histograms": "histograms", "hparams": "hyper-parameters", "tensors": "newer histograms"}
_IMAGE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")
_LAST_ALONE = {"images": 1, "tensors": 1, "scalars": 1, "histograms": 1, "compressedHistograms": 1, "audio": 1}
# What tbparse raises for a content that it does not foresee.
_UNFORESEEN = (DecodeError, ValueError, TypeError, AssertionError, LookupError, AttributeError)


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
    """What is in the event files below `folder`, but for scalars; what comes after damage is left out and named.

    Where a step was logged twice, the later file holds; of hyper-parameters the first, as in TensorBoard.
    Raises StoreError when a file cannot be read or is too large.
    """
    details = LogDetails()
    frames: dict[str, list[pd.DataFrame]] = {kind: [] for kind in _KINDS}
    images: dict[str, Image] = {}
    for path in event_files(folder):
        _refuse_what_cannot_be_read(path)
        prefix = "" if path.parent == folder else f"{printable(path.parent.relative_to(folder).as_posix())}/"
        read, plugins = _read(path, images, prefix, details.gaps)
        for kind, frame in read.items():
            if not frame.empty:
                frames[kind].append(_prefixed(kind, frame, prefix, plugins))
    details.gaps += _damage(folder)
    details.texts = _first("texts", _texts(frames["text"]), details.gaps)
    for frame in reversed(frames["hparams"]):
        details.hyperparameters |= dict(zip(frame["tag"], frame["value"], strict=True))
    details.hyperparameters = dict(sorted(details.hyperparameters.items()))
    details.histograms = _first("histograms", _histograms(frames, details.gaps), details.gaps)
    details.images = _first("images", [images[tag] for tag in sorted(images)], details.gaps)
    return details


def _refuse_what_cannot_be_read(path: Path) -> None:
    try:
        with gate.open_file(path, gate.EVENTS) as file:
            size = file.seek(0, 2)
    except OSError as error:
        raise StoreError(f"{path} could not be read: {error.strerror or error}") from error
    if size > MOST_BYTES:
        raise StoreError(
            f"{path} has {size / 2**20:,.0f} MB; here at most {MOST_BYTES >> 20} MB of a log are read at once. "
            f"Look at {path.parent} in TensorBoard"
        )


def _read(
    path: Path, images: dict[str, Image], prefix: str, gaps: list[str]
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """tbparse's frame of each kind, and which of TensorBoard's plugins each tag belongs to; adds to `images`."""
    try:
        events = EventAccumulator(str(path), _LAST_ALONE).Reload()
        plugins = {tag: about.plugin_data.plugin_name for tag, about in events.summary_metadata.items()}
        for image in _images(events, plugins):
            images[prefix + image.tag] = replace(image, tag=prefix + image.tag)
    except _UNFORESEEN as error:
        gaps.append(f"{path.name} could not be read: {_reason(error)}.")
        return {}, {}
    except OSError as error:
        raise StoreError(f"{path} could not be read: {error.strerror or error}") from error
    try:
        reader = _reader(path, set(_KINDS))
        return {kind: reader.get_events(kind) for kind in _KINDS}, plugins
    except _UNFORESEEN:
        return dict(_one_by_one(path, gaps)), plugins


def _reader(path: Path, kinds: set[str]) -> SummaryReader:
    return SummaryReader(str(path), event_types=kinds, extra_columns={"min", "max"})


def _one_by_one(path: Path, gaps: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """The kinds that tbparse can read where it cannot read all."""
    for kind, words in _KINDS.items():
        try:
            yield kind, _reader(path, {kind}).get_events(kind)
        except _UNFORESEEN as error:
            gaps.append(f"The {words} of {path.name} could not be read: {_reason(error)}.")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} {' '.join(str(error).split())[:200]}".strip()


def _prefixed(kind: str, frame: pd.DataFrame, prefix: str, plugins: dict[str, str]) -> pd.DataFrame:
    if kind == "tensors":
        frame = frame.loc[[plugins.get(tag) == "histograms" for tag in frame["tag"]]]
    return frame if kind == "hparams" else frame.assign(tag=prefix + frame["tag"])


def _damage(folder: Path) -> list[str]:
    """Words about each file in which TensorBoard stops at damage."""
    log = RunLog(folder)
    log.refresh()
    first: dict[Path, int] = {}
    for path, offset in log.damaged:
        first[path] = min(offset, first.get(path, offset))
    return [
        f"{path.relative_to(folder)} is damaged at byte {offset:,} of {path.stat().st_size:,}: "
        "of what comes after it only curves are read."
        for path, offset in sorted(first.items())
    ]


def _texts(frames: list[pd.DataFrame]) -> list[Text]:
    if not frames:
        return []
    texts: list[Text] = []
    for tag, rows in pd.concat(frames, ignore_index=True).groupby("tag"):
        last = rows.sort_values("step", kind="stable").iloc[-1]
        text = str(last["value"])
        cut = len(text) > MOST_CHARACTERS
        texts.append(Text(str(tag), int(last["step"]), text[:MOST_CHARACTERS], cut, len(rows)))
    return texts


def _histograms(frames: dict[str, list[pd.DataFrame]], gaps: list[str]) -> list[Histogram]:
    """Of the old encoding, where each has its limits, and of the new one, a tensor of left, right, count."""
    points: dict[str, dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    wrong = 0
    for frame in [*frames["histograms"], *frames["tensors"]]:
        for row in frame.to_dict("records"):
            point = _from_tensor(row["value"]) if "value" in row else _from_limits(row)
            if point is not None:
                points.setdefault(row["tag"], {})[int(row["step"])] = point
            else:
                wrong += 1
    if wrong:
        gaps.append(f"{wrong:,} histogram{'s hold' if wrong > 1 else ' holds'} no numbers and cannot be drawn.")
    return [_thinned(tag, points[tag]) for tag in sorted(points)]


def _from_limits(row: dict[Any, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    limits, counts = np.asarray(row["limits"], np.float64), np.asarray(row["counts"], np.float64)
    if len(counts) and counts[0] == 0:  # the first limit is the left edge of the second bucket
        edges, counts = limits, counts[1:]
    else:
        edges = np.concatenate([[row["min"]], limits])
    # TensorFlow's outermost buckets reach to the largest numbers that there are.
    return _checked(np.clip(edges, row["min"], row["max"]), counts)


def _from_tensor(value: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    rows = np.asarray(value, np.float64)
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows):
        return None
    return _checked(np.concatenate([rows[:1, 0], rows[:, 1]]), rows[:, 2])


def _checked(
    edges: NDArray[np.float64], counts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """None for what no histogram can be: no bucket, edges that are no numbers or go back, counts that are none."""
    right = (
        len(edges) == len(counts) + 1 and len(counts) > 0 and bool(is_number(edges).all() and is_number(counts).all())
    )
    return (edges, counts) if right and bool((np.diff(edges) >= 0).all() and (counts >= 0).all()) else None


def _thinned(tag: str, points: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Histogram:
    steps = sorted(points)
    kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), MOST_STEPS)).round().astype(np.int64))
    shown = [steps[place] for place in kept.tolist()]
    edges, counts = [points[step][0] for step in shown], [points[step][1] for step in shown]
    return Histogram(tag, np.array(shown, dtype=np.int64), edges, counts, len(steps))


def _images(events: EventAccumulator, plugins: dict[str, str]) -> Iterator[Image]:
    """The last image of each tag, in the old encoding and in the new one: a tensor of width, height, images."""
    tags: Any = events.Tags()
    for tag in tags["images"]:
        (last,) = events.Images(tag)
        yield from _image(tag, last.step, last.encoded_image_string)
    for tag in tags["tensors"]:
        if plugins.get(tag) == "images":
            (last,) = events.Tensors(tag)
            for content in list(last.tensor_proto.string_val)[2:3]:
                yield from _image(tag, last.step, content)


def _image(tag: str, step: int, content: bytes) -> Iterator[Image]:
    if content.startswith(_IMAGE_STARTS) and len(content) <= MOST_IMAGE_BYTES:
        yield Image(tag, step, content)


def _first(kind: str, found: list[Any], gaps: list[str]) -> list[Any]:
    """At most MOST_TAGS of `found`; how many more there are is said."""
    if len(found) > MOST_TAGS:
        gaps.append(f"The log has {kind} under {len(found)} tags; the first {MOST_TAGS} by name are shown.")
    return found[:MOST_TAGS]
