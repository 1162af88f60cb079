"""All of a log but its curves: what torch's writer and TensorBoard's newer encodings wrote is read as it was written."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures
from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.image.metadata import create_summary_metadata
from tensorboard.util.tensor_util import make_tensor_proto
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from recformer.errors import StoreError
from recformer.files.names import PROJECT
from recformer.logs import details
from recformer.logs.details import MOST_CHARACTERS, MOST_STEPS, MOST_TAGS, Histogram, event_files, read_whole
from recformer.training.tensorboard import TensorBoardWriter
from recformer.training.tensorboard_hparams import flat, log_start
from tests.training_helpers import small_config

SUMMARY: Any = summary_pb2.Summary  # pyright: ignore[reportAttributeAccessIssue]
DRAW = np.random.default_rng(0)


def counted(histogram: Histogram, step: int, low: float, high: float) -> float:
    """How many values of a step lie in the buckets within [low, high]."""
    place = histogram.step.tolist().index(step)
    edges, counts = histogram.edges[place], histogram.counts[place]
    return float(counts[(edges[:-1] >= low) & (edges[1:] <= high)].sum())


def pixels_of(content: bytes) -> Any:
    return np.asarray(Pictures.open(io.BytesIO(content)))


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Pictures.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_the_last_text_of_each_tag_is_read_with_its_step(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("note", "first [link](x)", 0)
        writer.add_text("note", "λ = 0.2\n![image](y)", 7)
        writer.add_text("other", "x" * (MOST_CHARACTERS + 1), 1)
    note, other = read_whole(tmp_path).texts
    assert (note.tag, note.step, note.text, note.cut, note.logged) == ("note", 7, "λ = 0.2\n![image](y)", False, 2)
    assert (other.tag, len(other.text), other.cut) == ("other", MOST_CHARACTERS, True)


@pytest.mark.parametrize("encoding", ["old", "new"])
def test_histograms_hold_as_many_values_between_two_edges_as_were_written(tmp_path: Path, encoding: str) -> None:
    written = {step: DRAW.normal(step, 1, 500) for step in (3, 1, 2)}
    with SummaryWriter(str(tmp_path)) as writer:
        for step, values in written.items():
            if encoding == "old":
                writer.add_histogram("weights", values, step)
            else:
                writer._get_file_writer().add_summary(histogram_pb("weights", values), step)  # pyright: ignore
    (found,) = read_whole(tmp_path).histograms
    assert (found.tag, found.step.tolist(), found.logged) == ("weights", [1, 2, 3], 3)
    for place, step in enumerate([1, 2, 3]):
        edges, counts, values = found.edges[place], found.counts[place], written[step]
        assert counts.sum() == 500
        assert edges[0] == pytest.approx(values.min()) or encoding == "old"
        for edge in edges[1:-1:7]:
            expected = (values < edge).sum()
            assert counted(found, step, -np.inf, edge) == pytest.approx(expected, abs=1)


def test_histograms_are_thinned_to_the_first_the_last_and_steps_between(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(MOST_STEPS * 2 + 3):
            writer.add_histogram("weights", np.array([0.0, 1.0]), step)
    (found,) = read_whole(tmp_path).histograms
    assert found.logged == MOST_STEPS * 2 + 3
    assert len(found.step) == len(found.edges) == len(found.counts) == MOST_STEPS
    assert (found.step[0], found.step[-1]) == (0, found.logged - 1)
    assert set(np.diff(found.step)) <= {2, 3}


def test_a_histogram_of_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        raw = {"num": 1, "sum": 0.0, "sum_squares": 0.0}
        for step, high in [(0, float("nan")), (1, float("inf")), (2, 1.0)]:
            writer.add_histogram_raw(
                "w", min=0.0, max=high, bucket_limits=[high, high], bucket_counts=[0, 1], global_step=step, **raw
            )
    (found,) = read_whole(tmp_path).histograms
    assert found.step.tolist() == [2]


@pytest.mark.parametrize("encoding", ["old", "new"])
def test_the_last_image_of_each_tag_is_read_with_its_pixels(tmp_path: Path, encoding: str) -> None:
    pictures = [DRAW.integers(0, 255, (5, 7, 3), dtype=np.uint8) for _ in range(3)]
    with SummaryWriter(str(tmp_path)) as writer:
        for step, pixels in enumerate(pictures):
            if encoding == "old":
                writer.add_image("picture", pixels, step, dataformats="HWC")
                continue
            about = create_summary_metadata(display_name=None, description=None)
            tensor = make_tensor_proto([b"7", b"5", png(pixels)])
            value = SUMMARY.Value(tag="picture", metadata=about, tensor=tensor)
            writer._get_file_writer().add_summary(SUMMARY(value=[value]), step)  # pyright: ignore
    (image,) = read_whole(tmp_path).images
    assert (image.tag, image.step) == ("picture", 2)
    assert (pixels_of(image.content) == pictures[2]).all()


def test_of_many_images_the_first_by_name_are_kept_and_the_rest_is_said(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for number in range(MOST_TAGS + 1):
            writer.add_image(f"picture{number:02}", np.zeros((3, 2, 2), np.uint8), 1)
    details = read_whole(tmp_path)
    assert [image.tag for image in details.images] == [f"picture{number:02}" for number in range(MOST_TAGS)]
    assert details.gaps == ["The log has images under 13 tags; the first 12 by name are shown."]


def test_what_is_no_picture_is_not_handed_on_as_one(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        value = SUMMARY.Value(tag="x", image=SUMMARY.Image(encoded_image_string=b"<svg onload='x'/>"))
        writer._get_file_writer().add_summary(SUMMARY(value=[value]), 1)  # pyright: ignore
    assert read_whole(tmp_path).images == []


def test_hyperparameters_of_torch_are_read_within_the_folder_and_below(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for summary in hparams({"lr": 0.5, "name": "λ", "deep": False}, {"loss": 1.0}):
            writer._get_file_writer().add_summary(summary)  # pyright: ignore
        writer.add_hparams({"width": 8}, {"loss": 1.0}, run_name="below")
    assert read_whole(tmp_path).hyperparameters == {"deep": 0.0, "lr": 0.5, "name": "λ", "width": 8.0}


def test_our_own_are_read_as_tensorboard_shows_them_the_newest(tmp_path: Path) -> None:
    for launch, rate in enumerate([0.5, 0.25]):
        log_start(tmp_path, small_config(learning_rate=rate))
        with TensorBoardWriter(tmp_path, launch) as writer:
            writer.note("config", f"rate {rate}")
            writer.write(launch + 1, {"loss/train": 1.0})
    details = read_whole(tmp_path)
    assert details.hyperparameters == flat(small_config(learning_rate=0.25).model_dump(mode="json"))
    assert details.hyperparameters["model.repeat_bias"] is False
    assert (details.histograms, details.images, details.gaps) == ([], [], [])
    assert [text.text for text in details.texts] == ["```\nrate 0.25\n```"]


def test_tags_of_a_folder_below_begin_with_its_name(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "below"):
        with SummaryWriter(str(place)) as writer:
            writer.add_text("note", place.name, 1)
            writer.add_histogram("w", np.arange(3.0), 1)
            writer.add_image("i", np.zeros((3, 2, 2), np.uint8), 1)
    details = read_whole(tmp_path)
    assert [text.tag for text in details.texts] == ["below/note", "note"]
    assert [histogram.tag for histogram in details.histograms] == ["below/w", "w"]
    assert [image.tag for image in details.images] == ["below/i", "i"]


def test_a_folder_without_a_log_or_with_curves_alone_has_nothing(tmp_path: Path) -> None:
    assert read_whole(tmp_path).empty
    (tmp_path / "events.out.tfevents.1.host").touch()
    with TensorBoardWriter(tmp_path, 0) as writer:
        writer.write(1, {"loss/train": 1.0})
    (tmp_path / ".events.hparams.tfevents.x.tmp").write_bytes(b"half")
    assert len(event_files(tmp_path)) == 2
    details = read_whole(tmp_path)
    assert (details.empty, details.gaps) == (True, [])


def test_damage_is_said_with_its_place_and_what_comes_before_it_is_read(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("before", "kept", 0)
        writer.flush()
        (path,) = tmp_path.iterdir()
        end = path.stat().st_size
        writer.add_text("after", "lost", 1)
        writer.add_text("end", "lost", 2)
    content = bytearray(path.read_bytes())
    content[end + 20] ^= 1
    path.write_bytes(content)
    details = read_whole(tmp_path)
    assert [text.tag for text in details.texts] == ["before"]
    (gap,) = details.gaps
    assert gap == (
        f"{path.name} is damaged at byte {end:,} of {len(content):,}: of what comes after it only curves are read."
    )


def test_a_record_that_is_still_being_written_is_no_damage(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("note", "kept", 0)
        writer.add_text("later", "half", 0)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    details = read_whole(tmp_path)
    assert ([text.tag for text in details.texts], details.gaps) == (["note"], [])


def test_a_text_that_cannot_be_read_hides_nothing_of_another_kind(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_histogram("w", np.arange(3.0), 1)
        about = {"plugin_data": {"plugin_name": "text"}}
        value = SUMMARY.Value(tag="bad", metadata=about, tensor=make_tensor_proto([b"\xff\xfe"]))
        writer._get_file_writer().add_summary(SUMMARY(value=[value]), 1)  # pyright: ignore
    details = read_whole(tmp_path)
    assert [histogram.tag for histogram in details.histograms] == ["w"]
    (gap,) = details.gaps
    assert gap.startswith("The texts of events.out.tfevents.") and "UnicodeDecodeError" in gap


def test_a_file_that_cannot_be_opened_or_is_too_large_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("note", "x", 0)
    monkeypatch.setattr(details, "MOST_BYTES", 10)
    with pytest.raises(StoreError, match=r"at most 0 MB .* in TensorBoard"):
        read_whole(tmp_path)
    monkeypatch.undo()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(StoreError, match="cannot be read: Permission denied"):
        read_whole(tmp_path)


def test_reading_loads_no_torch(tmp_path: Path) -> None:
    with TensorBoardWriter(tmp_path, 0) as writer:
        writer.note("config", "x")
    script = (
        "import sys, pathlib\nfrom recformer.logs.details import read_whole\n"
        "assert read_whole(pathlib.Path(sys.argv[1])).texts\nassert not {'torch', 'tensorflow'} & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
