"""Lists that were made elsewhere: every form of file, what is checked, and what a fault is told as."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from recformer.data.dataset import Dataset
from recformer.data.prepared import Prepared, prepare
from recformer.errors import DataError, EvaluationError, RecformerError, StoreError, UsageError
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.evaluation.lists.import_lists import Asked, import_lists
from recformer.evaluation.lists.kept import KeptLists, read_kept
from recformer.evaluation.ranks import NOT_LISTED, Ranks
from recformer.evaluation.table import summarise_view
from recformer.registry import METRICS
from recformer.run import trash
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.overview import find_run
from recformer.run.paths import Root
from tests.builders import dataset_in, dataset_of, sequences
from tests.list_files import WRITERS, Lists, nested_json, ranx, run_of, table_of

SPLIT = split_of("leave_last_out")
TEST = Asked(SPLIT, "test")
K = 10


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_in(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def lists(dataset: Dataset) -> Lists:
    """Of each user ten items that they did not have before, at random, without a tie."""
    draw = np.random.default_rng(5)
    found: dict[str, list[str]] = {}
    for token, user in enumerate(dataset.user_ids):
        new = np.setdiff1d(np.arange(dataset.num_items), dataset.history(token)[:-1])
        found[str(user)] = dataset.item_ids[draw.permutation(new)[:K]].astype(str).tolist()
    return found


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def ranks_of(root: Root, run_id: str, dataset: Dataset) -> Ranks:
    return evaluate(root, find_model(root, run_id), Task(dataset, SPLIT, "test")).ranks


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_lists_in_every_form_give_the_same_places(
    name: str, root: Root, dataset: Dataset, lists: Lists
) -> None:
    WRITERS[name](root.path / name, lists)
    report = import_lists(root, root.path / name, "elsewhere", dataset, TEST)
    kept = read_kept(root.model("elsewhere") / "lists.parquet", dataset.num_users, dataset.num_items)
    assert in_words(kept, dataset) == {user: list(items) for user, items in lists.items()}
    assert (report.rows, report.lists, report.users_without_a_list, report.ties) == (300, 30, 0, 0)
    assert (report.seen, report.known_to) == (0, {"none": K, "window": K, "history": K})


def in_words(kept: KeptLists, dataset: Dataset) -> dict[str, list[str]]:
    parts = np.split(kept.items, kept.starts[1:-1])
    return {
        str(dataset.user_ids[user]): dataset.item_ids[items].astype(str).tolist()
        for user, items in zip(kept.users, parts, strict=True)
    }


def test_metrics_are_those_of_ranx_on_the_same_file(root: Root, dataset: Dataset, lists: Lists) -> None:
    some = dict(list(lists.items())[:-3])  # three users have no list
    targets = {
        str(user): str(dataset.item_ids[dataset.history(token)[-1]]) for token, user in enumerate(dataset.user_ids)
    }
    for user in list(some)[::2]:  # every other list has what is looked for
        some[user] = [*some[user][:4], targets[user], *(item for item in some[user][4:] if item != targets[user])][:K]
    run_of(some).save(str(root.path / "run.trec"))
    import_lists(root, root.path / "run.trec", "elsewhere", dataset, TEST)
    ranks = ranks_of(root, "elsewhere", dataset)
    relevant = ranx.Qrels({user: {item: 1} for user, item in targets.items()})
    scored = ranx.Run.from_file(str(root.path / "run.trec"))
    theirs = {"hr": "hit_rate", "mrr": "mrr", "map": "map", "ndcg": "ndcg", "recall": "recall"}
    for name in METRICS.names():
        for k in (1, 5, K):
            expected = ranx.evaluate(relevant, scored, f"{theirs[name]}@{k}", make_comparable=True)
            found = METRICS.get(name)(ranks.places("history"), k, ranks.num_targets).mean()
            assert found == pytest.approx(expected, abs=1e-9) and (k == 1 or found > 0)


def tiny() -> Prepared:
    """Users 100 and 101 had items 10 to 13 and 13 to 16; the last is looked for. Item 17 nobody had."""
    return prepare(dataset_of([[0, 1, 2, 3], [3, 4, 5, 6]], 8), SPLIT)


def imported(root: Root, text: str, prepared: Prepared, asked: Asked = TEST) -> Ranks:
    (root.path / "lists.csv").write_text("user_id,item_id,score\n" + text)
    import_lists(root, root.path / "lists.csv", "elsewhere", prepared.dataset, asked)
    return evaluate(
        root, find_model(root, "elsewhere"), Task(prepared.dataset, asked.split, asked.part, recent=1)
    ).ranks


def test_a_rank_is_the_place_among_what_masking_leaves(root: Root) -> None:
    # The window is 12 of user 100; 10 and 11 they had before it. What is looked for is 13.
    ranks = imported(root, "100,10,9\n100,12,8\n100,17,7\n100,13,6\n100,16,5\n101,17,1\n", tiny())
    assert [int(ranks.rank(one)[0]) for one in ("none", "window", "history")] == [4, 3, 2]
    assert ranks.rank("none")[1] == NOT_LISTED
    assert ranks.top("history")[0, :4].tolist() == [7, 3, 6, -1]
    assert ranks.repeats("history", "none")[0, :4].tolist() == [1, 2, 2, 2]
    assert ranks.repeats("window", "none")[0, :4].tolist() == [0, 1, 1, 1]
    assert [ranks.known_to(one) for one in ("none", "window", "history")] == [1, 1, 1]  # of user 101


def test_a_shorter_list_is_whole_where_it_is_said_how_long_lists_are(root: Root) -> None:
    ranks = imported(root, "100,10,9\n100,12,8\n100,17,7\n100,13,6\n101,17,1\n", tiny(), replace(TEST, k=4))
    assert [ranks.known_to(one) for one in ("none", "window", "history")] == [4, 3, 2]


def test_of_equal_scores_what_is_looked_for_comes_last(root: Root) -> None:
    ranks = imported(root, "100,13,9\n100,17,9\n100,16,9\n", tiny())
    assert ranks.rank("none")[0] == 3


def test_an_unknown_item_keeps_its_place_and_one_that_is_there_again_has_none(root: Root) -> None:
    ranks = imported(root, "100,999,9\n100,17,8\n100,17,7\n100,13,6\n", tiny())
    assert ranks.rank("none")[0] == 3
    assert ranks.top("none")[0, :3].tolist() == [-1, 7, 3]


def test_what_is_tied_in_time_is_looked_for_together(root: Root) -> None:
    times = [1, 2, 3, 3, 1, 2, 3, 4]
    prepared = prepare(dataset_of([[0, 1, 2, 3], [3, 4, 5, 6]], 8, times), split_of("leave_last_out", "as_set"))
    asked = Asked(split_of("leave_last_out", "as_set"), "test")
    ranks = imported(root, "100,13,9\n100,17,8\n100,12,7\n101,16,9\n", prepared, asked)
    assert ranks.num_targets is not None
    assert ranks.num_targets.tolist() == [2, 1]
    assert ranks.places("none")[:, :3].tolist() == [[1, 3, 0], [1, 0, 0]]


def test_everything_that_is_odd_is_counted_and_said(root: Root) -> None:
    prepared = tiny()
    rows = "100,10,9\n100,13,9\n100,13,2\n100,999,1\n102,10,1\nnobody,10,1\n"
    (root.path / "lists.csv").write_text("user_id,item_id,score\n" + rows)
    report = import_lists(root, root.path / "lists.csv", "elsewhere", prepared.dataset, TEST)
    assert (report.users, report.lists, report.users_without_a_list) == (2, 1, 1)
    assert (report.unknown_users, report.unknown_items, report.duplicates, report.ties) == (2, 1, 1, 1)
    assert (report.seen, report.places) == (1, 2)
    said = " ".join(report.sentences("movies"))
    for words in (
        "1 of 2 users of the part have a list; 1 have none and count as misses",
        "lists of 2 users whom the dataset does not have",
        "1 place with movies that the dataset does not have",
        "1 of the first places (50.0%) have movies that the user had before: seen ones were left in",
        "k = 3 with masking none",
    ):
        assert words in said


def test_ids_are_compared_as_the_dataset_writes_them(root: Root) -> None:
    numbered = tiny().dataset
    codes = pd.DataFrame({"item_id": [f"{number:03}" for number in range(8)]})
    dataset = replace(numbered, item_table=codes, user_table=pd.DataFrame({"user_id": ["K-1", "K-2"]}))
    (root.path / "lists.csv").write_text("user_id,item_id,score\nK-1,3,9\nK-1,003,8\nk-2,006,1\n")
    report = import_lists(root, root.path / "lists.csv", "elsewhere", dataset, TEST)
    assert (report.unknown_users, report.unknown_items) == (1, 1)
    assert ranks_of(root, "elsewhere", dataset).rank("none").tolist() == [2, NOT_LISTED]


def _nested_parquet(path: Path) -> None:
    parquet.write_table(pa.table({"user_id": [101], "items": [[{"item_id": 10, "score": 1.0}]]}), path)


def _struct_score(path: Path) -> None:
    parquet.write_table(pa.table({"user_id": [101], "item_id": [10], "score": [{"a": 1.0}]}), path)


def _cut_gzip(path: Path) -> None:
    whole = gzip.compress(("user_id,item_id,score\n" + "101,10,0.5\n" * 50_000).encode())
    path.write_bytes(whole[: len(whole) // 2])


def _million_strangers(path: Path) -> None:
    rows = "".join(f"u{number},10,1\n" for number in range(1_000_000))
    path.write_text("user_id,item_id,score\n" + rows)


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


HOSTILE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a score that is no number": (
        "a.csv",
        _text("user_id,item_id,score\n101,10,1\n101,17,high\n"),
        "line 3: score 'high'",
    ),
    "a score of nan": (
        "a.csv",
        _text("user_id,item_id,score\n101,10,nan\n"),
        "line 2: score 'nan' is no finite number",
    ),
    "an infinite score": (
        "a.csv",
        _text("user_id,item_id,score\n101,10,inf\n"),
        "line 2: score 'inf' is no finite number",
    ),
    "no score": ("a.csv", _text("user_id,item_id,score\n101,10,\n"), "line 2: score is empty"),
    "a formula for a score": ("a.csv", _text('user_id,item_id,score\n101,10,"=1+1"\n'), "line 2: score '=1+1'"),
    "no item": ("a.csv", _text("user_id,item_id,score\n101, ,1\n"), "line 2: item_id is empty"),
    "NUL bytes": ("a.csv", _text("user_id,item_id,score\n101,1\0,1\n"), "holds a NUL byte"),
    "NUL bytes in a TREC run": ("a.trec", _text("101 Q0 10 1 0.5 x\n101 Q0 1\0 2 0.4 x\n"), "holds a NUL byte"),
    "another width": ("a.trec", _text("101 Q0 10 1 0.5 x\n101 Q0 11 2\n"), "line 2: 4 fields"),
    "a nan in a TREC run": ("a.trec", _text("101 Q0 10 1 nan x\n"), "line 1: score 'nan' is no finite number"),
    "nothing of the kind": ("a.csv", _text("colour,size\nred,1\nblue,2\n"), "nothing tells which column has"),
    "no header": ("a.csv", _text("101,10,0.5\n101,17,0.4\n"), "nothing tells which column has"),
    "an empty file": ("a.csv", _text(""), "is empty"),
    "a header alone": ("a.csv", _text("user_id,item_id,score\n"), "a.csv"),
    "nested Parquet": ("a.parquet", _nested_parquet, "nothing tells which column has"),
    "a column of structs": ("a.parquet", _struct_score, "the column 'score' holds struct"),
    "cut gzip": ("a.csv.gz", _cut_gzip, "a.csv.gz"),
    "Parquet that is none": ("a.parquet", _text("PAR1 and nothing else\n"), "a.parquet"),
    "JSON within JSON": ("a.json", nested_json, "a list of recommendations was expected"),
    "JSON that is cut": ("a.json", _text('{"101": {"10": 1.0'), "after 0 lists"),
    "a true score in JSON": ("a.json", _text('{"101": {"10": true}}'), "the list of '101': score 'True'"),
    "a nan in JSON": ("a.json", _text('{"101": {"10": NaN}}'), "the list of '101': score 'NaN'"),
    "a million strangers": ("a.csv", _million_strangers, "1,000,000 users whom"),
    "items a line": ("a.txt", _text("101 10 11 12\n102 10\n"), "a user and their items in each line"),
    "a folder": ("a.csv", lambda path: path.mkdir(), "it is a folder"),
    "no file": ("a.csv", lambda _: None, "is not there"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_cannot_be_is_refused_in_one_message_and_leaves_nothing(
    what: str, root: Root, dataset: Dataset
) -> None:
    name, write, words = HOSTILE[what]
    write(root.path / name)
    with pytest.raises(DataError) as refused:
        import_lists(root, root.path / name, "elsewhere", dataset, TEST)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 700
    assert not root.run("elsewhere").exists() and not root.model("elsewhere").exists()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (replace(TEST, k=0), "k = 0 is not allowed"),
        (replace(TEST, rank="rank", score="score"), "not both"),
    ],
)
def test_what_cannot_be_asked_is_refused(asked: Asked, words: str, root: Root, dataset: Dataset, lists: Lists) -> None:
    WRITERS["rectools.csv"](root.path / "a.csv", lists)
    with pytest.raises(UsageError, match=words):
        import_lists(root, root.path / "a.csv", "elsewhere", dataset, asked)


def test_named_columns_are_taken(root: Root, dataset: Dataset, lists: Lists) -> None:
    table_of(lists).set_axis(["a", "b", "c", "d"], axis=1).to_csv(root.path / "a.csv", index=False)
    report = import_lists(root, root.path / "a.csv", "elsewhere", dataset, replace(TEST, user="a", item="b", score="d"))
    assert (report.columns.order, report.columns.by, report.lists) == ("d", "score", 30)


def test_a_last_line_needs_no_line_break(root: Root) -> None:
    prepared = tiny()
    (root.path / "a.csv").write_text("user_id,item_id,score\n100,13,2\n101,16,1")
    assert import_lists(root, root.path / "a.csv", "elsewhere", prepared.dataset, TEST).lists == 2
    (root.path / "b.csv").write_text("user_id,item_id,score\n100,13,2\n101,16")
    with pytest.raises(DataError, match="line 3: 2 fields"):
        import_lists(root, root.path / "b.csv", "cut", prepared.dataset, TEST)


def test_lists_are_a_run_that_is_listed_labelled_deleted_and_restored(
    root: Root, dataset: Dataset, lists: Lists
) -> None:
    WRITERS["run.json"](root.path / "run.json", lists)
    import_lists(root, root.path / "run.json", "elsewhere", dataset, TEST)
    with pytest.raises(UsageError, match="exists already"):
        import_lists(root, root.path / "run.json", "elsewhere", dataset, TEST)
    run = find_run(root, "elsewhere")
    assert (run.state.name, run.checkpoints, run.imported, run.resumable) == ("imported", ["lists"], True, False)
    before = ranks_of(root, "elsewhere", dataset)
    trash.restore(root, trash.discard(root, "elsewhere"))
    assert np.array_equal(ranks_of(root, "elsewhere", dataset).rank("none"), before.rank("none"))


@pytest.mark.parametrize(
    "task",
    [
        {"part": "validation"},
        {"split": split_of("global_temporal"), "part": "test"},
        {"split": split_of("leave_last_out", "hash"), "part": "test"},
    ],
    ids=["another part", "another split", "other ties"],
)
def test_lists_are_refused_for_what_they_were_not_made_for(
    task: dict, root: Root, dataset: Dataset, lists: Lists
) -> None:
    WRITERS["run.json"](root.path / "run.json", lists)
    import_lists(root, root.path / "run.json", "elsewhere", dataset, TEST)
    with pytest.raises(EvaluationError, match="elsewhere has lists made elsewhere: they are for the test part of"):
        evaluate(root, find_model(root, "elsewhere"), Task(**({"dataset": dataset, "split": SPLIT} | task)))


def test_lists_are_refused_for_other_data(root: Root, dataset: Dataset, lists: Lists) -> None:
    WRITERS["run.json"](root.path / "run.json", lists)
    import_lists(root, root.path / "run.json", "elsewhere", dataset, TEST)
    other = dataset_in(root.path / "small", sequences(seed=1))
    with pytest.raises(EvaluationError, match="they are for|has changed since"):
        evaluate(root, find_model(root, "elsewhere"), Task(other, SPLIT, "test"))


def test_figures_say_what_is_unknown_and_by_whose_word_they_count(root: Root, dataset: Dataset, lists: Lists) -> None:
    WRITERS["run.json"](root.path / "run.json", lists)
    import_lists(root, root.path / "run.json", "elsewhere", dataset, TEST)
    found = evaluate(root, find_model(root, "elsewhere"), Task(dataset, SPLIT, "test"))
    (result,) = summarise_view([found], "history", ["ndcg@10"])
    assert result["counts"] and result["trained_on"] == 0 and result["validated_on"] is None
    assert result["lists"].startswith("lists made elsewhere, up to K = 10: ranks beyond are unknown")


def _damage(path: Path, how: str) -> None:
    table = parquet.read_table(path)
    record = json.loads(table.schema.metadata[b"recformer"])
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-9])
        return
    columns = {"user": table["user"].to_numpy().copy(), "item": table["item"].to_numpy().copy()}
    if how == "an item that is not there":
        columns["item"][3] = 40
    if how == "users out of order":
        columns["user"][0] = 29
    if how == "another column":
        columns["more"] = columns["item"]
    changed = pa.table({name: pa.array(values) for name, values in columns.items()})
    if how != "no record":
        record |= {"part": "every"} if how == "a part that is none" else {}
        changed = changed.replace_schema_metadata({"recformer": json.dumps(record)})
    parquet.write_table(changed, path)


@pytest.mark.parametrize(
    "how",
    ["cut", "an item that is not there", "users out of order", "another column", "no record", "a part that is none"],
)
def test_kept_lists_that_are_damaged_are_refused(how: str, root: Root, dataset: Dataset, lists: Lists) -> None:
    WRITERS["run.json"](root.path / "run.json", lists)
    import_lists(root, root.path / "run.json", "elsewhere", dataset, TEST)
    _damage(ModelRef.of_run(root, "elsewhere", "lists").path, how)
    with pytest.raises(StoreError, match="Remove the run, then import its lists again"):
        evaluate(root, find_model(root, "elsewhere"), Task(dataset, SPLIT, "test"))


def test_users_who_are_sampled_have_the_ranks_that_they_have_among_all(
    root: Root, dataset: Dataset, lists: Lists
) -> None:
    from recformer.data.user_sample import UserSample

    WRITERS["run.json"](root.path / "run.json", lists)
    import_lists(root, root.path / "run.json", "elsewhere", dataset, TEST)
    model, everybody = find_model(root, "elsewhere"), ranks_of(root, "elsewhere", dataset)
    some = evaluate(root, model, Task(dataset, SPLIT, "test", sample=UserSample(10))).ranks
    assert len(some) == 10
    assert np.array_equal(some.rank("none"), everybody.rank("none")[np.isin(everybody.user, some.user)])


def test_a_list_of_anybody_is_no_error_of_the_program(root: Root, dataset: Dataset) -> None:
    pd.DataFrame({"user_id": ["101"], "item_id": ["10"], "score": [1.0]}).to_csv(root.path / "a.csv", index=False)
    with pytest.raises(RecformerError, match="run id"):
        import_lists(root, root.path / "a.csv", "../elsewhere", dataset, TEST)
