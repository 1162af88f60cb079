"""Baselines: hand-worked examples, a slow reading of their definitions, and that held-out targets do not leak."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import recformer.evaluation.baselines as baselines_module
import recformer.model.baseline.item_knn as item_knn_module
from recformer.config import Options, parse_section
from recformer.data.histories import Cases, Histories, histories_of, ranges
from recformer.data.prepared import Prepared, prepare
from recformer.data.split.base import Split
from recformer.errors import DataError, EvaluationError, UsageError
from recformer.evaluation.baselines import rank_baseline
from recformer.evaluation.ranks import Ranks
from recformer.files.names import PROJECT
from recformer.model.baseline.counts import step_marks, training_marks
from recformer.registry import BASELINES, SPLITS
from tests.baseline_reference import (
    plain_ease,
    plain_item_knn,
    plain_markov,
    plain_popularity,
    plain_sequential_rules,
    plain_training_positions,
)
from tests.builders import dataset_of
from tests.effort import examples

A, B, C, D, E = range(5)
PLAIN: dict[str, Callable[..., list[float]]] = {
    "popularity": plain_popularity,
    "markov": plain_markov,
    "item_knn": plain_item_knn,
    "sequential_rules": plain_sequential_rules,
    "ease": plain_ease,
}
COSINE = {"latest": 0, "decay": 1.0, "shrinkage": 0.0}
CHOICES = [(name, settings) for name in BASELINES.names() for settings in BASELINES.get(name).GRID]


def prepared_of(
    histories: Sequence[Sequence[int]], num_items: int, size: int = 1, split: str = "leave_last_out"
) -> Prepared:
    return prepare(dataset_of(histories, num_items), split_of(split, size))


def counted(data: Prepared) -> list[int]:
    return np.flatnonzero(training_marks(data)).tolist()


def steps(data: Prepared) -> list[int]:
    return np.flatnonzero(step_marks(data)).tolist()


def tokens_split(histories: Histories, train: Cases, validation: Cases, test: Cases) -> Split:
    trained = np.zeros(len(histories.tokens), dtype=np.bool_)
    trained[train.ends] = True
    return Split(histories, trained, validation, test, "tokens")


def split_of(name: str, size: int) -> Options:
    return parse_section("split", {"name": name, "size": size} if name == "random_windows" else name)


def random_prepared(size: int, split: str, seed: int = 0, num_items: int = 25, num_users: int = 12) -> Prepared:
    """Histories with repeats, at times that mix users."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(6, 16, size=num_users)
    histories = [draw.integers(0, num_items, size=n).tolist() for n in lengths]
    times = [time for n in lengths for time in sorted(draw.integers(0, 1000, size=n).tolist())]
    return prepare(dataset_of(histories, num_items, times), split_of(split, size))


def test_the_example_of_the_docstring() -> None:
    data = prepared_of([[A, B, C, D]], 4)  # SOS a b c d EOS; c is validation, d test
    assert counted(data) == [0, 1, 2]
    assert steps(data) == [0, 1]
    assert ranges(np.array([5, 0]), np.array([2, 3])).tolist() == [5, 6, 0, 1, 2]


def test_a_held_out_target_is_not_counted_where_it_is_the_input_of_a_training_window() -> None:
    dataset = dataset_of([[A, B, C, D]], 4)
    histories = histories_of(dataset)
    cases = histories.all_cases(2)  # [SOS a] → b, [a b] → c, [b c] → d, [c d] → EOS
    data = Prepared(dataset, histories, tokens_split(histories, cases[[0, 3]], cases[[1]], cases[[2]]))
    assert counted(data) == [0, 1, 2, 5]  # c and d are held out, though [c d] → EOS is training
    assert steps(data) == [0, 1]
    assert BASELINES.get("popularity")(data).scores(cases[[2]]).tolist() == [[1, 1, 0, 0, 0, 1]]


def test_there_is_no_step_across_a_held_out_target() -> None:
    dataset = dataset_of([[A, B, C, D, E]], 5)
    histories = histories_of(dataset)
    cases = histories.all_cases()  # → a, a → b, b → c, c → d, d → e, e → EOS
    data = Prepared(dataset, histories, tokens_split(histories, cases[[1, 3]], cases[[2]], cases[[5]]))
    assert counted(data) == [0, 1, 2, 4]  # SOS a b, d
    assert steps(data) == [0, 1]  # SOS → a and a → b


def test_there_is_no_step_from_one_user_to_the_next() -> None:
    dataset = dataset_of([[A], [B], [C, D, E]], 5)
    histories = histories_of(dataset)
    cases = histories.all_cases()
    data = Prepared(dataset, histories, tokens_split(histories, cases[:-2], cases[[-2]], cases[[-1]]))
    assert counted(data) == list(range(9))  # SOS a EOS, SOS b EOS, SOS c d
    assert steps(data) == [0, 1, 3, 4, 6, 7]


def test_all_targets_of_a_held_out_case_are_left_out() -> None:
    times = [1, 2, 3, 4, 4, 5, 5, 5]
    data = prepare(
        dataset_of([range(8)], 8, times), parse_section("split", {"name": "leave_last_out", "time_ties": "as_set"})
    )
    assert counted(data) == plain_training_positions(data) == [0, 1, 2, 3]


def test_of_a_user_who_is_not_judged_everything_is_counted() -> None:
    data = prepared_of([[A, B, C, D], [D, C], [], [E]], 5)  # in training: a b, d c, e
    scores = BASELINES.get("popularity")(data).scores(data.split.test)
    assert scores.tolist() == [[1, 1, 1, 1, 1, 0, 0]]
    after_c = BASELINES.get("markov")(data).scores(data.split.test)[0]
    assert after_c.tolist() == [0.5, 0.5, 0.5, 0.5, 0.5, 0, 0]  # nothing comes after c


def test_popularity_counts_the_training_part() -> None:
    data = prepared_of([[A, B, A, D, C], [B, A, C, C]], 5)  # in training: a b a, b a
    scores = BASELINES.get("popularity")(data).scores(data.split.test)
    assert scores.tolist() == [[3, 2, 0, 0, 0, 0, 0]] * 2  # a b c d e SOS EOS


def test_eos_is_as_popular_as_it_is_a_training_target() -> None:
    data = prepared_of([[A, B] * 4] * 40, 2, size=2, split="random_windows")
    scores = BASELINES.get("popularity")(data).scores(data.split.test[:1])[0]
    trained = np.count_nonzero(data.histories.targets(data.split.train) == data.histories.eos)
    assert 0 < trained < 40
    assert scores[[data.histories.sos, data.histories.eos]].tolist() == [0, trained]


def test_markov_on_a_hand_worked_example() -> None:
    # In training: a b a c a b, then e (validation) and a (test).
    data = prepared_of([[A, B, A, C, A, B, E, A], [B, C, A, A]], 5)  # and b c; the second user's last input is a
    scores = BASELINES.get("markov")(data).scores(data.split.test)
    # Counts a 3, b 3, c 2, so fractions are of 4. After a: b twice, c once. After e: nothing.
    assert scores[0].tolist() == [0.75, 0.75, 0.5, 0, 0, 0, 0]
    assert scores[1].tolist() == [0.75, 2.75, 1.5, 0, 0, 0, 0]


def test_item_knn_on_a_hand_worked_example() -> None:
    # In training: {a, b}, {a, b, c} and {a}; d and e are held out.
    data = prepared_of([[A, B, D, E], [A, B, C, D, E], [A, E, D]], 5)
    scores = BASELINES.get("item_knn")(data).scores(data.split.validation, **COSINE)
    ab, ac, bc = 2 / np.sqrt(6), 1 / np.sqrt(3), 1 / np.sqrt(2)
    nothing = [-1, -1, -1, -1]  # d, e, SOS, EOS: never in training
    assert scores[0].tolist() == pytest.approx([ab, ab, ac + bc, *nothing])  # history a b
    assert scores[1].tolist() == pytest.approx([ab + ac, ab + bc, ac + bc, *nothing])  # history a b c
    a_alone = 3 / 4 - 1  # no item is its own neighbour: a comes after all others, by popularity
    assert scores[2].tolist() == pytest.approx([a_alone, ab, ac, *nothing])  # history a
    assert ac + bc == pytest.approx(1.284, abs=1e-3)


def test_item_knn_falls_back_on_popularity_for_a_history_nobody_knows() -> None:
    data = prepared_of([[A, B, D, E], [A, C, D, E], [D, E, A]], 5)  # in training: a b, a c, d; nobody else has d
    scores = BASELINES.get("item_knn")(data).scores(data.split.test[2:], **COSINE)
    assert scores[0].tolist() == pytest.approx([2 / 3 - 1, 1 / 3 - 1, 1 / 3 - 1, 1 / 3 - 1, -1, -1, -1])


def test_item_knn_counts_a_repeated_item_once() -> None:
    once, often = prepared_of([[A, B, C, D]] * 3, 4), prepared_of([[A, B, A, B, A, C, D]] * 3, 4)
    scores = [BASELINES.get("item_knn")(data).scores(data.split.validation, **COSINE) for data in (once, often)]
    assert scores[0][:, [A, B]].tolist() == scores[1][:, [A, B]].tolist() == [[1, 1]] * 3


@pytest.mark.parametrize("split", SPLITS.names())
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize(("name", "settings"), CHOICES)
def test_a_baseline_is_what_its_definition_says(name: str, settings: dict[str, float], size: int, split: str) -> None:
    data = random_prepared(size, split, seed=size)
    assert counted(data) == plain_training_positions(data)
    for cases in (data.split.test, data.split.validation[:3], data.histories.all_cases()[:3]):
        expected = np.array([PLAIN[name](data, cases[place : place + 1], **settings) for place in range(len(cases))])
        found = BASELINES.get(name)(data).scores(cases, **settings)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5, 24, 25, 26])
def test_item_knn_keeps_the_nearest_neighbours_and_all_as_near_as_the_last(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_prepared(3, "leave_last_out", seed=count)
    nearest = partial(item_knn_module.nearest_neighbours, count=count)
    monkeypatch.setattr(item_knn_module, "nearest_neighbours", nearest)
    monkeypatch.setattr(item_knn_module, "BLOCK", 4)
    cases = data.split.test
    expected = np.array(
        [plain_item_knn(data, cases[place : place + 1], **COSINE, neighbours=count) for place in range(len(cases))]
    )
    found = BASELINES.get("item_knn")(data).scores(data.split.test, **COSINE)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@st.composite
def with_other_targets(draw: st.DrawFn) -> tuple[Prepared, Prepared, Cases]:
    """Data, the same with other held-out targets, and cases before whose targets nothing was changed."""
    split = draw(st.sampled_from(SPLITS.names()))
    data = random_prepared(draw(st.integers(1, 5)), split, seed=draw(st.integers(0, 10_000)), num_items=9)
    parts = draw(st.sampled_from([["test"], ["validation", "test"]]))
    histories = data.histories
    held_out = np.concatenate([data.split.cases(part).ends for part in parts])
    held_out = held_out[histories.tokens[held_out] < histories.num_items]
    tokens = histories.tokens.copy()
    others = np.random.default_rng(draw(st.integers(0, 10_000)))
    tokens[held_out] = others.integers(0, histories.num_items, size=len(held_out))
    changed = np.flatnonzero(tokens != histories.tokens)
    cases = histories.all_cases()
    own = histories.user_starts[cases.users]
    before = np.searchsorted(changed, cases.ends) - np.searchsorted(changed, own)
    assume(len(changed) and (before == 0).any())
    return data, replace(data, histories=replace(histories, tokens=tokens)), cases[before == 0]


@pytest.mark.parametrize("name", BASELINES.names())
@settings(max_examples=examples(80))
@given(drawn=with_other_targets())
def test_other_held_out_targets_change_no_score(name: str, drawn: tuple[Prepared, Prepared, Cases]) -> None:
    data, other, cases = drawn
    baselines = [BASELINES.get(name)(prepared) for prepared in (data, other)]
    for choice in baselines[0].GRID:
        found, again = (baseline.scores(cases, **choice) for baseline in baselines)
        np.testing.assert_array_equal(found, again)


@st.composite
def any_prepared(draw: st.DrawFn) -> Prepared:
    """Up to five users with histories of any length, none of them or all of one item among them."""
    histories = draw(st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=5))
    assume(any(histories))
    try:
        return prepared_of(histories, 5, draw(st.integers(1, 5)), draw(st.sampled_from(SPLITS.names())))
    except DataError:
        assume(False)
        raise


@pytest.mark.parametrize("name", BASELINES.names())
@settings(max_examples=examples(80))
@given(data=any_prepared())
def test_a_baseline_gives_a_finite_score_for_every_token_and_the_same_twice(name: str, data: Prepared) -> None:
    cases = data.histories.all_cases()
    baseline = BASELINES.get(name)(data)
    for choice in baseline.GRID:
        scores = baseline.scores(cases, **choice)
        assert scores.shape == (len(cases), data.histories.num_tokens)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        np.testing.assert_array_equal(scores, BASELINES.get(name)(data).scores(cases, **choice))
        np.testing.assert_array_equal(scores[-1:], baseline.scores(cases[-1:], **choice))  # whatever else is there


@pytest.mark.parametrize("name", BASELINES.names())
def test_a_baseline_says_what_it_is(name: str) -> None:
    assert BASELINES.get(name).TITLE
    assert BASELINES.get(name).DESCRIPTION.endswith(".")


def cycle() -> list[list[int]]:
    """Twenty items one after another, each user beginning elsewhere."""
    return [[(start + step) % 20 for step in range(12)] for start in range(20)]


def groups() -> list[list[int]]:
    """Items of one of four groups of five for each user, in any order."""
    draw = np.random.default_rng(0)
    return [(draw.permutation(5) + 5 * (user % 4)).tolist() for user in range(80)]


def favourites() -> list[list[int]]:
    """Item i is had about as often as 1 / (1 + i)."""
    draw = np.random.default_rng(0)
    weights = 1 / np.arange(1, 21)
    return [draw.choice(20, 8, p=weights / weights.sum()).tolist() for _ in range(80)]


@pytest.mark.parametrize(
    ("name", "histories", "worst_mean_rank"),
    [
        ("markov", cycle(), 1.0),
        ("sequential_rules", cycle(), 1.0),
        ("item_knn", groups(), 1.0),
        ("ease", groups(), 1.0),
        ("popularity", favourites(), 7.5),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_baseline_finds_the_pattern_it_is_made_for(
    name: str, histories: list[list[int]], worst_mean_rank: float
) -> None:
    data = prepared_of(histories, 20)
    ranks, _ = rank_baseline(name, data, data.split.test)
    chance = 10.5
    masking = "none" if name == "popularity" else "history"  # favourites are had again and again
    assert ranks.rank(masking).mean() <= worst_mean_rank < chance


def test_what_breaks_a_tie_reorders_nothing() -> None:
    data = prepared_of([[A, B, E, E]] * 3 + [[A, C, E, E]] * 2 + [[C] * 50], 5)  # C is by far the most popular
    cases = data.histories.all_cases()
    scores = BASELINES.get("markov")(data).scores(cases[data.histories.inputs(cases, 1)[:, 0] == A])
    assert len(scores) == 5
    assert (np.argsort(-scores[:, :D], axis=1) == [B, C, A]).all()


@pytest.mark.parametrize("split", SPLITS.names())
@pytest.mark.parametrize("name", BASELINES.names())
def test_ranks_are_those_of_the_scores_however_many_batches(
    name: str, split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_prepared(3, split)
    cases = data.split.test
    once, choice = rank_baseline(name, data, cases)
    assert choice in BASELINES.get(name).GRID
    scores = BASELINES.get(name)(data).scores(cases, **choice)
    scores = scores[:, : data.histories.num_items] if data.split.item_set == "items" else scores
    own = np.take_along_axis(scores, data.histories.targets(cases)[:, None].astype(np.int64), axis=1)
    assert once.rank_none.tolist() == (scores >= own).sum(axis=1).tolist()
    monkeypatch.setattr("recformer.evaluation.baselines.BATCH", 2)
    told: list[tuple[int, int]] = []
    pieces, _ = rank_baseline(name, data, cases, lambda done, total: told.append((done, total)))
    for field in fields(Ranks):
        np.testing.assert_array_equal(getattr(once, field.name), getattr(pieces, field.name), err_msg=field.name)
    assert told[0] == (2, len(cases))
    assert told[-1] == (len(cases), len(cases))


def ndcg_by_hand(data: Prepared, name: str, choice: dict[str, float], cases: Cases) -> float:
    """NDCG@10 with the history masked, of one target a case, from scores alone."""
    scores = BASELINES.get(name)(data).scores(cases, **choice)
    gains: list[float] = []
    for row, user, end in zip(scores, cases.users, cases.ends, strict=True):
        target = int(data.histories.tokens[end])
        history = set(data.histories.tokens[data.histories.user_starts[user] : end].tolist()) - {target}
        count = data.histories.num_items if data.split.item_set == "items" else data.histories.num_tokens
        shown = [token for token in range(count) if token not in history]
        rank = sum(row[token] >= row[target] for token in shown)
        gains.append(1 / np.log2(1 + rank) if rank <= 10 else 0.0)
    return float(np.mean(gains))


@pytest.mark.parametrize("split", SPLITS.names())
@pytest.mark.parametrize("name", [name for name in BASELINES.names() if len(BASELINES.get(name).GRID) > 1])
def test_settings_are_those_with_the_highest_ndcg_on_validation_and_the_first_of_equal_ones(
    name: str, split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "ease":  # for few users all of its usual settings rank alike
        grid = tuple({"regularisation": value} for value in (0.1, 1.0, 10.0))
        monkeypatch.setattr(BASELINES.get(name), "GRID", grid)
    chosen: list[int] = []
    grid = BASELINES.get(name).GRID
    for seed in range(6):
        data = random_prepared(3, split, seed=seed)
        values = [ndcg_by_hand(data, name, choice, data.split.validation) for choice in grid]
        for part in ("validation", "test"):
            _, choice = rank_baseline(name, data, data.split.cases(part))
            assert choice == grid[int(np.argmax(values))]
        chosen.append(int(np.argmax(values)))
    assert len(set(chosen)) > 1, "one choice for all data: this test says nothing"


@pytest.mark.parametrize("name", BASELINES.names())
@settings(max_examples=examples(20))
@given(seed=st.integers(0, 10_000), split=st.sampled_from(SPLITS.names()))
def test_other_test_targets_choose_no_other_settings(name: str, seed: int, split: str) -> None:
    data = random_prepared(3, split, seed=seed, num_items=9)
    histories, ends = data.histories, data.split.test.ends
    ends = ends[histories.tokens[ends] < histories.num_items]
    tokens = histories.tokens.copy()
    tokens[ends] = np.random.default_rng(seed).integers(0, histories.num_items, size=len(ends))
    # Under random_windows a later validation case may have read the target: only cases before all of them are alike.
    first = np.full(histories.num_users, len(tokens))
    np.minimum.at(first, data.split.test.users, data.split.test.ends)
    validation = data.split.validation[data.split.validation.ends < first[data.split.validation.users]]
    assume(len(validation))
    parts = replace(data.split, validation=validation)
    one = replace(data, split=parts)
    other = replace(data, split=parts, histories=replace(histories, tokens=tokens))
    assert rank_baseline(name, one, data.split.test)[1] == rank_baseline(name, other, data.split.test)[1]


def test_of_many_validation_cases_an_even_sample_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[int] = []
    validated = baselines_module._validated

    def counting(baseline: Any, choice: Any, prepared: Prepared, cases: Cases) -> float:
        asked_for.extend(cases.users.tolist())
        return validated(baseline, choice, prepared, cases)

    monkeypatch.setattr(baselines_module, "_validated", counting)
    monkeypatch.setattr(baselines_module, "MOST_CASES", 3)
    data = random_prepared(3, "leave_last_out", seed=11)
    rank_baseline("ease", data, data.split.test)
    assert asked_for == [0, 5, 11] * len(BASELINES.get("ease").GRID)


def test_sequential_rules_on_a_hand_worked_example() -> None:
    # In training: a b c, and of the second user nothing; d and e are held out.
    data = prepared_of([[A, B, C, D, E], [A, B, E]], 5)
    case = data.histories.all_cases()
    case = case[(case.users == 1) & (data.histories.targets(case) == E)]  # after a, b
    rules = BASELINES.get("sequential_rules")(data)
    scores = rules.scores(case, latest=5, decay=0.8, popularity=0.0)[0]
    assert scores[[B, C]].tolist() == pytest.approx([0.8, 1.4])
    assert (scores[[A, D, E]] < 0).all()
    assert rules.scores(case, latest=1, decay=0.8, popularity=0.0)[0, C] == pytest.approx(1.0)  # b alone votes


def test_a_popular_item_is_pressed_down_by_a_power_of_its_count() -> None:
    data = prepared_of([[A, B, D, E]] * 3 + [[A, C, D, E]] + [[B] * 5 + [D, E]], 5)
    case = data.split.validation[[0]]
    rules = BASELINES.get("sequential_rules")(data)
    counts = np.array([4, 8, 1])
    raw, pressed = (rules.scores(case, latest=10, decay=0.8, popularity=power)[0, : C + 1] for power in (0.0, 0.3))
    voted = raw > 0
    assert voted.tolist() == [False, True, True]
    assert pressed[voted] == pytest.approx(raw[voted] / counts[voted] ** 0.3)


def test_an_old_item_votes_less_than_a_new_one() -> None:
    data = prepared_of([[A, C, E, E]] * 2 + [[B, D, E, E]] * 2 + [[A, B, E, E]], 5)
    case = data.split.validation[[4]]  # after a, b
    for name, choice in (
        ("sequential_rules", {"latest": 5, "decay": 0.8, "popularity": 0.0}),
        ("item_knn", {"latest": 10, "decay": 0.8, "shrinkage": 0.0}),
    ):
        scores = BASELINES.get(name)(data).scores(case, **choice)[0]
        assert scores[C] == pytest.approx(0.8 * scores[D], rel=1e-6), name
        assert scores[C] > 0


def test_shrinkage_trusts_few_users_less() -> None:
    data = prepared_of([[A, B, E, E]] + [[C, D, E, E]] * 10, 5)
    knn = BASELINES.get("item_knn")(data)
    pairs = [(data.split.validation[[0]], A, B), (data.split.validation[[1]], C, D)]
    alike, apart = (
        [float(knn.scores(case, **COSINE | {"shrinkage": by})[0, other]) for case, _, other in pairs] for by in (0, 10)
    )
    assert alike == pytest.approx([1, 1])
    assert apart == pytest.approx([1 / 11, 10 / 20])


def test_a_matrix_too_large_for_ease_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recformer.model.baseline.ease.LARGEST", 20)
    data = random_prepared(3, "leave_last_out")
    with pytest.raises(EvaluationError, match="up to 20; this dataset has 25.*other baselines"):
        rank_baseline("ease", data, data.split.test)


def test_a_baseline_that_there_is_not_is_named() -> None:
    data = random_prepared(3, "leave_last_out")
    with pytest.raises(UsageError, match="baseline: there is no 'oracle'; allowed: ease, item_knn, markov"):
        rank_baseline("oracle", data, data.split.test)


def test_naming_the_baselines_loads_no_torch() -> None:
    script = (
        "import sys\nfrom recformer.registry import BASELINES\n"
        "print([BASELINES.get(name).TITLE for name in BASELINES.names()])\nassert 'torch' not in sys.modules"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (found.stdout.strip(), found.stderr) == (
        "['EASE', 'Item kNN', 'Markov chain', 'Popularity', 'Sequential rules']",
        "",
    )
