"""What people say about a run: what is allowed, what is kept, and that two who edit at once lose nothing."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from recformer.errors import StoreError, UsageError
from recformer.run import labels
from recformer.run.labels import Labels, annotate, archive, give_colour, read_labels, rename, tag
from recformer.run.paths import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A root with run `one`, and `only-weights`, which has a folder in models/ alone."""
    root = Root(tmp_path)
    root.run("one").mkdir(parents=True)
    root.model("only-weights").mkdir(parents=True)
    return root


def test_a_run_that_nobody_labelled_has_empty_labels(root: Root) -> None:
    assert read_labels(root.run("one")) == Labels()
    assert Labels().model_dump() == {"name": None, "tags": [], "note": "", "archived": False, "colour": None}


@pytest.mark.parametrize("run_id", ["one", "only-weights"])
def test_each_change_keeps_the_others_and_is_read_again(root: Root, run_id: str) -> None:
    rename(root, run_id, "  The good one λ ")
    tag(root, run_id, ["paper", " b ", "paper"])
    annotate(root, run_id, "line 1\nline 2\t“x”")
    last = archive(root, run_id)
    assert last == read_labels(root.run(run_id))
    assert last == Labels(name="The good one λ", tags=["b", "paper"], note="line 1\nline 2\t“x”", archived=True)
    assert rename(root, run_id, None).name is None
    assert archive(root, run_id, archived=False).tags == ["b", "paper"]


def test_tags_are_added_and_taken_away_by_name(root: Root) -> None:
    assert tag(root, "one", add=["b", "a"]).tags == ["a", "b"]
    assert tag(root, "one", add=["c"], remove=[" a", "never there"]).tags == ["b", "c"]
    tag(root, "one", remove=["b", "c"], add=[f"tag {number}" for number in range(20)])
    with pytest.raises(UsageError, match="21 tags are too many: a run has at most 20"):
        tag(root, "one", add=["one more"])
    assert len(tag(root, "one", add=["one more"], remove=["tag 0"]).tags) == 20


WRONG: list[tuple[Callable[[Root], Labels], str]] = [
    (lambda root: rename(root, "one", ""), "an empty name is not allowed: use 1 to 80 characters"),
    (lambda root: rename(root, "one", " \t\n"), "an empty name"),
    (lambda root: rename(root, "one", "x" * 81), "has 81 characters: use 1 to 80"),
    (lambda root: rename(root, "one", "two\nlines"), "write it on one line"),
    (lambda root: rename(root, "one", "\x1b[31mred"), "control characters"),
    (lambda root: rename(root, "one", "half \ud800"), "control characters"),
    (lambda root: tag(root, "one", ["good", ""]), "an empty tag is not allowed: use 1 to 40 characters"),
    (lambda root: tag(root, "one", ["x" * 41]), "has 41 characters: use 1 to 40"),
    (lambda root: tag(root, "one", ["a\u2028b"]), "write it on one line"),
    (lambda root: annotate(root, "one", "x" * 10_001), "10,001 characters is too long: use at most 10,000"),
    (lambda root: annotate(root, "one", "\x00"), "control characters"),
    (lambda root: rename(root, "onee", "x"), "there is no run 'onee'; did you mean 'one'?"),
    (lambda root: archive(root, "../one"), "there is no run '../one'"),
]


@pytest.mark.parametrize(("change", "told"), WRONG, ids=[told for _, told in WRONG])
def test_what_is_not_allowed_is_told_and_changes_nothing(
    root: Root, change: Callable[[Root], Labels], told: str
) -> None:
    tag(root, "one", ["before"])
    before = {path: path.read_bytes() for path in root.path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError) as error:
        change(root)
    assert told in str(error.value)
    assert {path: path.read_bytes() for path in root.path.rglob("*") if path.is_file()} == before
    assert not root.run("onee").exists()


@pytest.mark.parametrize("allowed", ["x" * 80, "نام‌ها", "日本 語", "👩‍🔬", "a\u00a0b"])
def test_names_may_be_of_any_language(root: Root, allowed: str) -> None:
    assert rename(root, "one", allowed).name == allowed == read_labels(root.run("one")).name


def test_what_a_newer_version_added_is_kept(root: Root) -> None:
    (root.run("one") / "labels.json").write_text('{"name": "a", "mood": "blue"}')
    archive(root, "one")
    assert json.loads((root.run("one") / "labels.json").read_text())["mood"] == "blue"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"name": ""}', b'{"tags": [1]}', b'{"archived": 1}'])
def test_damaged_labels_are_named_and_not_written_over(root: Root, content: bytes) -> None:
    path = root.run("one") / "labels.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="labels.json is damaged"):
        read_labels(root.run("one"))
    with pytest.raises(StoreError, match="labels.json is damaged.* Mend or remove it.* Then try again"):
        archive(root, "one")
    assert path.read_bytes() == content


def test_two_who_edit_at_once_lose_nothing(root: Root) -> None:
    def add(who: str) -> None:
        for number in range(10):
            tag(root, "one", [f"{who}{number}"])

    threads = [threading.Thread(target=add, args=(who,)) for who in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_labels(root.run("one")).tags == sorted(f"{who}{number}" for who in "ab" for number in range(10))


def test_a_disk_that_refuses_is_told_in_words(root: Root) -> None:
    (root.runs / ".edit.lock").mkdir()
    with pytest.raises(StoreError, match=r"\.edit\.lock: Is a directory; nothing was changed"):
        archive(root, "one")


def test_a_lock_that_is_held_for_long_is_told(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recformer.run.locks.EDIT_TIMEOUT_S", 0.05)
    with labels.edit_lock(root), pytest.raises(StoreError, match="held by another process"):
        archive(root, "one")


def test_a_new_run_gets_the_colour_that_the_fewest_have(tmp_path: Path) -> None:
    root = Root(tmp_path)
    names = [f"run-{number}" for number in range(8)]
    for name in names:
        root.run(name).mkdir(parents=True)
        give_colour(root, name)
    colours = [read_labels(root.run(name)).colour for name in names]
    assert colours == [0, 1, 2, 3, 4, 5, 0, 1]
    give_colour(root, "run-3")
    assert read_labels(root.run("run-3")).colour == 3, "it keeps the colour that it has"


def test_a_colour_stays_when_other_runs_go_and_a_free_one_is_given_again(tmp_path: Path) -> None:
    root = Root(tmp_path)
    for name in ("a", "b", "c"):
        root.run(name).mkdir(parents=True)
        give_colour(root, name)
    shutil.rmtree(root.run("a"))
    (root.run("b") / "labels.json").write_text("damaged")
    root.run("d").mkdir()
    give_colour(root, "d")
    assert [read_labels(root.run(name)).colour for name in ("c", "d")] == [2, 0]
