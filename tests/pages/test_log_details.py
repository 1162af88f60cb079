"""The folded part of Monitor: what a log holds besides curves, read when it is opened and not before."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from torch.utils.tensorboard import SummaryWriter

from recformer.files.names import PROJECT
from recformer.logs import details
from recformer.run.paths import Root
from recformer.training.tensorboard import TensorBoardWriter
from recformer.training.tensorboard_hparams import log_start
from tests.training_helpers import SMALL_MODEL, small_config

HEADINGS = ["Hyper-parameters", "Texts", "Histograms", "Images"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    """A root with one run, `run`, that has a curve."""
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    root = Root(tmp_path)
    root.run("run").mkdir(parents=True)
    (root.run("run") / "config.yaml").write_text("name: Run\n")
    with TensorBoardWriter(root.run("run"), 0) as writer:
        writer.write(1, {"loss/train": 1.0})
    return root


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that are read whole, one entry a time."""
    folders: list[Path] = []
    real = details.read_whole

    def read(folder: Path) -> details.LogDetails:
        folders.append(folder)
        return real(folder)

    monkeypatch.setattr(details, "read_whole", read)
    return folders


def opened(app: AppTest | None = None, *, details: bool = True) -> AppTest:
    if app is None:
        app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=60)
        app.run()
        app.switch_page("pages/monitor.py")
        if details:
            app.session_state["monitor.details"] = True
    app.run()
    assert not app.exception, app.exception
    return app


def words(app: AppTest) -> str:
    elements: list[Any] = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return "\n".join(str(element.value) for element in elements)


def headings(app: AppTest) -> list[str]:
    return [heading for heading in HEADINGS if f"##### {heading}" in words(app)]


def test_nothing_is_read_while_it_is_folded(root: Root, reads: list[Path]) -> None:
    app = opened(details=False)
    assert "Texts, histograms, hyper-parameters" in [expander.label for expander in app.expander]
    assert (reads, headings(app)) == ([], [])


def test_a_log_of_curves_alone_says_so_and_shows_no_heading(root: Root) -> None:
    app = opened()
    assert "This log has no texts, histograms or hyper-parameters." in words(app)
    assert headings(app) == []


def test_a_run_of_this_project_shows_its_parameters_and_its_configuration(root: Root) -> None:
    log_start(root.run("run"), small_config(learning_rate=0.25, model=SMALL_MODEL | {"repeat_bias": True}))
    with TensorBoardWriter(root.run("run"), 1) as writer:
        writer.note("config", "name: [x](https://example.org)")
    app = opened()
    assert headings(app) == ["Hyper-parameters", "Texts"]
    table = app.dataframe[-1].value
    shown = dict(zip(table["name"], table["value"], strict=True))
    assert (shown["learning_rate"], shown["model.repeat_bias"], shown["model.width"]) == ("0.25", "yes", "16")
    assert "name: [x](https://example.org)" in [code.value for code in app.code]
    assert "example.org" not in words(app)


def test_texts_and_tags_are_shown_as_they_are_and_not_as_markup(root: Root) -> None:
    with SummaryWriter(str(root.run("run"))) as writer:
        writer.add_text("![tag](x)", "![image](https://example.org/x.png) <b>bold</b>", 4)
    app = opened()
    assert "![image](https://example.org/x.png) <b>bold</b>" in [code.value for code in app.code]
    assert "![tag](x)" not in words(app)
    assert "step 4" in words(app)


def test_histograms_and_images_are_shown_a_tag_each(root: Root) -> None:
    with SummaryWriter(str(root.run("run"))) as writer:
        for step in range(3):
            writer.add_histogram("weights", np.arange(5.0), step)
            writer.add_histogram("biases", np.arange(5.0), step)
        writer.add_image("picture", np.zeros((3, 8, 8), np.uint8), 2)
    before = len(opened(details=False).get("plotly_chart"))
    app = opened()
    assert headings(app) == ["Histograms", "Images"]
    assert len(app.get("plotly_chart")) == before + 2
    assert len(app.get("image")) == 1


def test_a_damaged_picture_is_named_and_hides_no_other(root: Root) -> None:
    with SummaryWriter(str(root.run("run"))) as writer:
        writer.add_image("good", np.zeros((3, 8, 8), np.uint8), 1)
        from tensorboard.compat.proto import summary_pb2

        broken = summary_pb2.Summary.Image(encoded_image_string=b"\x89PNG\r\n\x1a\nno more")  # pyright: ignore
        value = summary_pb2.Summary.Value(tag="broken", image=broken)  # pyright: ignore
        writer._get_file_writer().add_summary(summary_pb2.Summary(value=[value]), 1)  # pyright: ignore
    app = opened()
    assert "broken · step 1 cannot be shown: the image is damaged" in words(app)
    assert len(app.get("image")) == 1


def test_it_is_read_once_and_again_when_the_log_has_grown(root: Root, reads: list[Path]) -> None:
    app = opened()
    opened(app)
    assert reads == [root.run("run")]
    with TensorBoardWriter(root.run("run"), 1) as writer:
        writer.note("note", "new")
    opened(app)
    assert len(reads) == 2
    assert "new" in [code.value for code in app.code]


def test_damage_is_said_beside_what_could_be_read(root: Root) -> None:
    (path,) = root.run("run").glob("*tfevents*")
    with TensorBoardWriter(root.run("run"), 0) as writer:
        writer.note("note", "kept")
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content + content)
    app = opened()
    assert "damaged at byte" in words(app)
    assert "kept" in [code.value for code in app.code]


def test_a_file_that_cannot_be_read_is_a_message_within_the_fold(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(details, "MOST_BYTES", 1)
    app = opened()
    assert any("in TensorBoard" in str(error.value) for error in app.error)
    assert len(app.get("bidi_component")) == 1  # the curve


def test_without_runs_there_is_nothing_to_open(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path / "empty"))
    assert not opened().expander
