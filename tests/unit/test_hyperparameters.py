"""What TensorBoard's hparams plugin is told of a run: names and values, the newest of a resumed run, and how it ended."""

import time
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2

from recformer.errors import StoreError
from recformer.logs.reader import RunLog
from recformer.training.tensorboard import TensorBoardWriter
from recformer.training.tensorboard_hparams import FILE, flat, log_end, log_start
from tests.training_helpers import small_config
from tests.unit.test_tensorboard_writer import files_of_at_most

STATUS: Any = api_pb2


def message_of(folder: Path, tag: str) -> Any:
    """What TensorBoard has under a tag of the plugin, None where there is nothing."""
    about = EventAccumulator(str(folder)).Reload().summary_metadata.get(f"_hparams_/{tag}")
    return None if about is None else plugin_data_pb2.HParamsPluginData.FromString(about.plugin_data.content)


def values(folder: Path) -> dict[str, Any]:
    hparams = message_of(folder, "session_start_info").session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in hparams.items()}


def status(folder: Path) -> int | None:
    end = message_of(folder, "session_end_info")
    return None if end is None else end.session_end_info.status


def test_options_are_called_as_set_calls_them_and_keep_their_kinds() -> None:
    options = {"name": "a", "model": {"name": "m", "hidden_sizes": [8, 4], "bias": True}, "rate": 0.5, "last": None}
    expected = {"name": "a", "model.name": "m", "model.hidden_sizes": "[8, 4]", "model.bias": True, "rate": 0.5}
    assert flat(options) == expected | {"last": "null"}


def test_tensorboard_reads_every_option(tmp_path: Path) -> None:
    config = small_config(learning_rate=0.25)
    log_start(tmp_path, config)
    found = values(tmp_path)
    assert found == flat(config.model_dump(mode="json"))
    assert (found["learning_rate"], found["model.repeat_bias"], found["loss.name"]) == (0.25, False, "cross_entropy")
    assert status(tmp_path) is None


@pytest.mark.parametrize(("succeeded", "expected"), [(True, "STATUS_SUCCESS"), (False, "STATUS_FAILURE")])
def test_the_end_is_told_and_taken_back_by_the_next_launch(tmp_path: Path, succeeded: bool, expected: str) -> None:
    log_start(tmp_path, small_config())
    log_end(tmp_path, succeeded=succeeded)
    assert status(tmp_path) == getattr(STATUS, expected)
    log_start(tmp_path, small_config())
    assert status(tmp_path) is None


def test_a_resumed_run_shows_its_newest_values_and_its_first_start(tmp_path: Path) -> None:
    for launch, rate in enumerate([0.5, 0.25]):
        log_start(tmp_path, small_config(learning_rate=rate))
        with TensorBoardWriter(tmp_path, launch) as writer:
            writer.write(launch + 1, {"loss": rate})
    assert values(tmp_path)["learning_rate"] == 0.25
    (first, _) = sorted(path.name for path in tmp_path.glob("events.out.*"))
    start = message_of(tmp_path, "session_start_info").session_start_info.start_time_secs
    assert start <= time.time()
    assert int(start) == int(first.split(".")[3])


def test_our_reader_shows_no_bookkeeping_as_a_curve(tmp_path: Path) -> None:
    log_start(tmp_path, small_config())
    with TensorBoardWriter(tmp_path, 0) as writer:
        writer.write(1, {"loss": 1.0})
    log_end(tmp_path, succeeded=True)
    log = RunLog(tmp_path)
    log.refresh()
    assert (list(log.scalars()), log.damaged) == (["loss"], [])


def test_a_fresh_run_purges_nothing_though_its_parameters_are_written_first(tmp_path: Path) -> None:
    log_start(tmp_path, small_config())
    with TensorBoardWriter(tmp_path, 0):
        pass
    (events,) = tmp_path.glob("events.out.*")
    assert events.stat().st_size < 60  # a header alone


def test_a_full_disk_refuses_the_start_in_words_and_leaves_the_end_out(tmp_path: Path) -> None:
    with files_of_at_most(100), pytest.raises(StoreError, match="could not write"):
        log_start(tmp_path, small_config())
    assert list(tmp_path.iterdir()) == []
    log_start(tmp_path, small_config())
    before = (tmp_path / FILE).read_bytes()
    with files_of_at_most(len(before) + 20):
        log_end(tmp_path, succeeded=True)
    assert (tmp_path / FILE).read_bytes() == before


def test_the_end_of_a_run_whose_folder_is_gone_makes_nothing(tmp_path: Path) -> None:
    log_end(tmp_path / "gone", succeeded=False)
    log_end(tmp_path, succeeded=False)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_is_removed_before_tensorboard_takes_it_for_the_newest(tmp_path: Path) -> None:
    (tmp_path / f".{FILE}.abc.tmp").write_bytes(b"old")
    log_start(tmp_path, small_config())
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert FILE < "events.out.tfevents"
