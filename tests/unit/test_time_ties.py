"""Ties in time: who is held out, what is trained on, and figures that do not depend on the order of lines."""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recformer.config import TrainConfig, dump, parse, parse_section
from recformer.data.assemble import read_dataset
from recformer.data.dataset import Dataset
from recformer.data.histories import Cases, interactions
from recformer.data.prepared import Prepared, prepare
from recformer.data.ties import hash_of, in_order, tied
from recformer.errors import DataError, UsageError
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.evaluation.protocol import Protocol, protocol_of
from recformer.evaluation.ranker import rank_batch
from recformer.evaluation.ranks import MASKINGS
from recformer.evaluation.table import Evaluation, summarise
from recformer.evaluation.torch_ranks import torch_ranks, with_all_targets
from recformer.run.model_ref import ModelRef, find_model
from recformer.run.paths import Root
from tests.builders import Interaction, dataset_in, dataset_of, sequences, write_ml1m
from tests.training_helpers import small_config, train_here

SPLIT_NAMES = ("leave_last_out", "global_temporal")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def in_threes(rows: Sequence[Interaction]) -> list[Interaction]:
    """The same histories at times of which about three of a user's are equal."""
    return [(user, item, rating, time // 300 * 300) for user, item, rating, time in rows]


def one_user(times: Sequence[int]) -> Dataset:
    """One user with items 0, 1, 2, … at these times, and one of the same length whose times all differ."""
    count = len(times)
    return dataset_of([range(count), range(count)], count, [*times, *range(count)])


def targets(prepared: Prepared, cases: Cases) -> list[list[int]]:
    """The targets of held-out cases, sorted."""
    counts = np.ones(len(cases), dtype=int) if cases.num_targets is None else cases.num_targets
    tokens = prepared.histories.tokens
    return [sorted(tokens[at : at + n].tolist()) for at, n in zip(cases.ends, counts, strict=True)]


def test_as_set_holds_out_all_that_is_tied_with_the_last_and_with_the_one_before() -> None:
    prepared = prepare(one_user([1, 2, 3, 3, 4, 5, 5, 6, 6, 6]), split_of("leave_last_out", "as_set"))
    split, histories = prepared.split, prepared.histories
    assert targets(prepared, split.test) == [[7, 8, 9], [9]]
    assert targets(prepared, split.validation) == [[5, 6], [8]]
    own = split.train[split.train.users == 0]
    trained = {int(token) for token in [*histories.inputs(own, 9).ravel(), *histories.targets(own)]}
    assert trained == {0, 1, 2, 3, 4, histories.sos}


@pytest.mark.parametrize("time_ties", ["file", "hash"])
def test_otherwise_one_of_them_is_the_last(time_ties: str) -> None:
    dataset = one_user([1, 2, 3, 3, 4, 5, 5, 6, 6, 6])
    prepared = prepare(dataset, split_of("leave_last_out", time_ties))
    (own, other), _ = targets(prepared, prepared.split.test), None
    assert own[0] in {7, 8, 9} and other == [9]
    if time_ties == "file":
        assert own == [9]


@pytest.mark.parametrize("name", SPLIT_NAMES)
@pytest.mark.parametrize("part", ["validation", "test"])
def test_under_as_set_nothing_at_the_time_of_a_target_is_seen_before_or_trained_on(
    tmp_path: Path, name: str, part: Any
) -> None:
    prepared = prepare(dataset_in(tmp_path, in_threes(sequences())), split_of(name, "as_set"))
    histories, dataset = prepared.histories, prepared.dataset
    held, trained = prepared.split.cases(part), prepared.split.train
    places = interactions(held)
    assert (histories.tokens[held.ends - 1] < histories.num_items).all()
    assert (dataset.timestamps[places - 1] < dataset.timestamps[places]).all()
    seen = set(zip(trained.users.tolist(), dataset.timestamps[interactions(trained)].tolist(), strict=True))
    assert not seen & set(zip(held.users.tolist(), dataset.timestamps[places].tolist(), strict=True))


def test_a_user_all_of_whose_interactions_are_at_one_time_gives_no_case_and_is_counted() -> None:
    prepared = prepare(one_user([7] * 10), split_of("leave_last_out", "as_set"))
    assert len(prepared.split.test) == 1
    assert prepared.split.skipped_users == 1
    with pytest.raises(DataError, match="ties in time by file or hash"):
        prepare(dataset_of([range(5)], 5, [3] * 5), split_of("leave_last_out", "as_set"))


@pytest.mark.parametrize("name", SPLIT_NAMES)
@pytest.mark.parametrize("time_ties", ["hash", "as_set"])
def test_without_ties_every_way_is_that_of_the_file(tmp_path: Path, name: str, time_ties: str) -> None:
    dataset = dataset_in(tmp_path)
    assert not tied(dataset).any()
    plain, other = (prepare(dataset, split_of(name, way)) for way in ("file", time_ties))
    for part in ("train", "validation", "test"):
        assert plain.split.cases(part).ends.tolist() == other.split.cases(part).ends.tolist()
    ways = ("file", time_ties)
    found = [evaluate(Root(tmp_path), ModelRef("markov"), Task(dataset, split_of(name, way))) for way in ways]
    one, two = (summarise([evaluation], [1, 5, 10])["results"] for evaluation in found)
    for before, after in zip(one, two, strict=True):
        for name, metric in before["metrics"].items():
            assert after["metrics"][name] == pytest.approx(metric), name
        assert before["catalogue"] == after["catalogue"]


@pytest.mark.parametrize("baseline", ["popularity", "markov", "item_knn"])
@pytest.mark.parametrize("split", SPLIT_NAMES)
@pytest.mark.parametrize("time_ties", ["hash", "as_set"])
def test_figures_do_not_depend_on_the_order_of_lines(root: Root, baseline: str, split: str, time_ties: str) -> None:
    rows = in_threes(sequences())
    orders = {
        "file": rows,
        "shuffled": random.Random(1).sample(rows, len(rows)),
        "up": sorted(rows, key=lambda row: row[1]),
        "down": sorted(rows, key=lambda row: -row[1]),
    }
    found: dict[str, Any] = {}
    for name, lines in orders.items():
        dataset = replace(read_dataset(write_ml1m(root.path / name, lines)), name="same")
        evaluation = evaluate(root, ModelRef(baseline), Task(dataset, split_of(split, time_ties)))
        found[name] = summarise([evaluation], [1, 5, 10])["results"]
    assert found["file"] == found["shuffled"] == found["up"] == found["down"]


def test_by_the_file_they_do(root: Root) -> None:
    """What the other ways are there for: sorting the lines of tied interactions changes the figures of a chain."""
    rows = in_threes(sequences())
    found = []
    for name, sign in (("up", 1), ("down", -1)):
        lines = sorted(rows, key=lambda row: sign * row[1])
        task = Task(read_dataset(write_ml1m(root.path / name, lines)), split_of("leave_last_out"))
        found.append(evaluate(root, ModelRef("markov"), task).ranks.rank("history").mean())
    assert found[0] != found[1]


def test_the_hash_is_of_seed_user_and_item_and_no_order_of_items_is_common_to_users() -> None:
    users, items = np.repeat(np.arange(200), 2), np.tile([10, 11], 200)
    users, items = users.astype(np.uint64), items.astype(np.uint64)
    codes = hash_of(users, items)
    assert len(set(codes.tolist())) == len(codes)
    first = (codes[::2] < codes[1::2]).mean()
    assert 0.35 < first < 0.65
    assert (hash_of(users, items, seed=1) != codes).all()
    one = in_order(dataset_of([[0, 1, 2, 3, 4]], 5, [1] * 5), "hash")
    other = in_order(dataset_of([[4, 2, 0, 1, 3]], 5, [1] * 5), "hash")
    assert one.items.tolist() == other.items.tolist()


@pytest.mark.parametrize("recent", [3, 9])
def test_places_of_several_targets_are_those_of_a_list_written_out(recent: int) -> None:
    """Against the definition: sort all candidates, with ties against the targets, and look where the targets are."""
    draw = np.random.default_rng(3)
    items = [draw.permutation(30)[:n].tolist() for n in [14] * 12 + [6] * 12]
    times = np.concatenate([np.sort(draw.integers(0, 5, len(own))) for own in items]).tolist()
    prepared = prepare(dataset_of(items, 30, times), split_of("leave_last_out", "as_set"))
    histories, cases = prepared.histories, prepared.split.test
    assert cases.num_targets is not None and cases.num_targets.max() > 2
    assert histories.lengths(cases).min() < recent - 1 or recent == 3
    for scores in (draw.normal(size=(len(cases), 32)), draw.integers(0, 4, (len(cases), 32))):
        table = torch.from_numpy(scores.astype(np.float32))
        found = rank_batch(table, histories, cases, "items", recent)
        assert found.num_targets is not None
        for number, (user, end) in enumerate(zip(cases.users.tolist(), cases.ends.tolist(), strict=True)):
            wanted = targets(prepared, cases[number : number + 1])[0]
            before = histories.tokens[histories.user_starts[user] : end]
            hidden = {"none": [], "window": before[-recent:], "history": before}
            for masking in MASKINGS:
                shown = [item for item in range(30) if item in wanted or item not in hidden[masking]]
                order = sorted(shown, key=lambda item: (-scores[number][item], item in wanted))
                places = [place for place, item in enumerate(order, 1) if item in wanted][:20]
                row_places = found.places(masking)[number]
                assert row_places[row_places > 0].tolist() == places
                assert found.rank(masking)[number] == places[0]
            assert found.num_targets[number] == len(set(wanted))
        by_torch = torch_ranks(table, histories, cases, 30, recent)
        again = with_all_targets(by_torch, table, histories, cases, 30, recent)
        assert (again.places_history == found.places_history).all()


def test_a_target_that_is_there_twice_counts_once() -> None:
    prepared = prepare(dataset_of([[0, 1, 2, 3, 3, 4]], 6, [1, 2, 3, 4, 4, 4]), split_of("leave_last_out", "as_set"))
    found = rank_batch(torch.arange(8.0)[None], prepared.histories, prepared.split.test, "items", 2)
    assert found.num_targets is not None and found.places_none is not None
    assert (found.num_targets.tolist(), found.places_none[0, :3].tolist()) == ([2], [2, 3, 0])


def test_sets_are_kept_in_the_rank_store(root: Root) -> None:
    task = Task(dataset_in(root.data / "small", in_threes(sequences())), split_of("leave_last_out", "as_set"))
    first, again = (evaluate(root, ModelRef("markov"), task) for _ in range(2))
    assert again.ranks.num_targets is not None
    assert summarise([first], [5])["results"] == summarise([again], [5])["results"]


def test_recall_is_shown_where_it_is_not_the_hit_rate(root: Root) -> None:
    dataset = dataset_in(root.data / "small", in_threes(sequences()))
    names = {
        way: summarise([evaluate(root, ModelRef("markov"), Task(dataset, split_of("leave_last_out", way)))], [5])
        for way in ("file", "as_set")
    }
    assert "recall@5" not in names["file"]["results"][0]["metrics"]
    metrics = names["as_set"]["results"][0]["metrics"]
    assert 0 < metrics["recall@5"]["mean"] < metrics["hr@5"]["mean"]


def test_the_protocol_says_how_ties_are_broken_and_how_many_there_are(tmp_path: Path) -> None:
    dataset = one_user([1, 2, 3, 3, 4, 5, 5, 6, 6, 6])
    found = {way: protocol(dataset, way) for way in ("file", "hash", "as_set")}
    assert [entry.time_tied for entry in found.values()] == [0.5] * 3
    assert len({entry.key for entry in found.values()}) == 3
    assert [entry.time_ties for entry in found.values()] == ["file", "hash", "as_set"]
    assert all("time_ties" not in entry.split for entry in found.values())


def protocol(dataset: Dataset, way: str) -> Protocol:
    split = split_of("leave_last_out", way)
    return protocol_of(prepare(dataset, split), split, "test", 2)


def test_what_was_stored_before_there_was_a_choice_has_the_same_key() -> None:
    now = protocol(one_user([1, 2, 3, 3, 4, 5, 5, 6, 6, 6]), "file")
    record = now.as_dict()
    del record["time_ties"], record["time_tied"]
    before = Protocol(**record)
    assert before.key == now.key
    assert before.differing(now) == []
    assert before == now
    assert before.differing(replace(now, time_ties="hash")) == ["time_ties"]


def test_results_with_different_ties_do_not_stand_in_one_table(root: Root) -> None:
    dataset = dataset_in(root.data / "small", in_threes(sequences()))
    found: list[Evaluation] = [
        evaluate(root, ModelRef("markov"), Task(dataset, split_of("leave_last_out", way))) for way in ("file", "hash")
    ]
    with pytest.raises(Exception, match=r"time_ties differ.*ties in time broken in one way"):
        summarise(found, [5])


def test_cases_trained_on_are_counted_across_ways_of_breaking_ties(root: Root) -> None:
    dataset = dataset_in(root.data / "small", in_threes(sequences()))
    config = small_config()
    train_here(root, "run", dataset, config)
    model = find_model(root, "run")
    plain = prepare(dataset, config.split)
    held = {
        (int(user), int(item))
        for part in (plain.split.validation, plain.split.test)
        for user, item in zip(part.users, plain.histories.targets(part), strict=True)
    }
    assert evaluate(root, model, Task(dataset, split_of("leave_last_out"), "test")).known.trained_on == 0
    for way in ("hash", "as_set"):
        prepared = prepare(dataset, split_of("leave_last_out", way))
        cases = prepared.split.test
        leaked = [
            any((int(user), item) not in held for item in wanted)
            for user, wanted in zip(cases.users, targets(prepared, cases), strict=True)
        ]
        assert 0 < sum(leaked) < len(leaked)
        assert evaluate(root, model, Task(dataset, split_of("leave_last_out", way), "test")).known.trained_on == sum(
            leaked
        )


@pytest.mark.parametrize("way", ["hash", "as_set"])
def test_a_model_trains_under_it_and_says_so(root: Root, way: str) -> None:
    dataset = dataset_in(root.data / "small", in_threes(sequences()))
    config = small_config(split={"name": "leave_last_out", "time_ties": way})
    train_here(root, "run", dataset, config)
    assert f"time_ties: {way}" in (root.run("run") / "run.yaml").read_text()
    found = evaluate(root, find_model(root, "run"), Task(dataset, split_of("leave_last_out", way)))
    assert (found.known.trained_on, found.protocol.time_ties) == (0, way)
    records = list((root.run("run") / "eval").glob("best-*.json"))
    assert [json.loads(path.read_text())["protocol"]["time_ties"] for path in records] == [way]


def test_configurations_say_nothing_of_ties_by_file_as_before_there_was_a_choice() -> None:
    config: TrainConfig = small_config()
    assert "time_ties" not in dump(config)
    assert parse(config.model_dump()) == config
    other = small_config(split={"name": "leave_last_out", "time_ties": "hash"})
    assert parse(other.model_dump()) == other != config
    assert parse_section("split", "leave_last_out") == split_of("leave_last_out")


def test_a_split_at_random_has_no_latest_items_to_take_as_a_set() -> None:
    with pytest.raises(UsageError, match="'as_set' cannot be under random_windows; allowed there: file, hash"):
        split_of("random_windows", "as_set")
