"""Which runs a line of words picks, and what is said of a line that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recformer.config import flat_config, text_of
from recformer.errors import UsageError
from recformer.run.labels import Labels
from recformer.run.overview import RunSummary
from recformer.run.search import STATES, Entry, compares, differing, entry_of, picked
from recformer.run.state import RunState, StateName


def run(
    run_id: str, state: StateName, config: dict[str, object], dataset: object = None, **labels: object
) -> RunSummary:
    return RunSummary(
        run_id=run_id,
        name=str(labels.get("name") or config.get("name") or run_id),
        state=RunState(state, ""),
        labels=Labels.model_validate(labels),
        job=None,
        status=None,
        config=config,
        created=0.0,
        checkpoints=[],
        resumable=False,
        best={"dataset": dataset},
    )


LOSS = {"name": "argmax_penalty", "penalty": 0.2}
RUNS = {
    "base": entry_of(
        run(
            "base",
            "finished",
            {
                "name": "baseline",
                "batch_size": 512,
                "learning_rate": 5e-4,
                "loss": {"name": "cross_entropy"},
                "model": {"name": "movie_transformer", "hidden_sizes": [16, 8], "repeat_bias": False},
                "schedule": "constant",
            },
            dataset={"name": "ml-100k"},
            tags=["article", "two words"],
            note="The first ONE",
        ),
        {"metric/ndcg@10": 0.1, "metric/hr@10": 0.2, "loss/validation": 6.0, "loss/train": 5.0},
    ),
    "pen": entry_of(
        run(
            "pen",
            "running",
            {"name": "λ=0.2", "batch_size": 64, "loss": LOSS, "model": {"repeat_bias": True}, "seed": None},
            tags=["Straße"],
            name="penalty λ=0.2",
        ),
        {"metric/ndcg@10": 0.04, "Loss val": 7.0},
    ),
    "new": entry_of(run("new", "queued", {"batch_size": 128, "loss": LOSS | {"penalty": 0}}), {}),
}


def chosen(query: str) -> set[str]:
    return {run_id for run_id, hit in zip(RUNS, picked(query, list(RUNS.values())), strict=True) if hit}


PICKS = {
    "": {"base", "pen", "new"},
    "   ": {"base", "pen", "new"},
    "PENALTY": {"pen"},
    "first one": {"base"},
    "one first": {"base"},
    '"one first"': set(),
    '"first one"': {"base"},
    "article": {"base"},
    "strasse": {"pen"},
    '"λ=0.2"': {"pen"},
    "-penalty": {"base", "new"},
    '-"first one"': {"pen", "new"},
    "state:running": {"pen"},
    "STATE:Running": {"pen"},
    "-state:running": {"base", "new"},
    "tag:article": {"base"},
    "tag:ARTICLE": {"base"},
    "tag:art": set(),
    'tag:"two words"': {"base"},
    "-tag:article state:running": {"pen"},
    "state:running state:queued": set(),
    "batch_size=512": {"base"},
    "batch_size==512.0": {"base"},
    "batch_size!=512": {"pen", "new"},
    "batch_size>64": {"base", "new"},
    "batch_size>=64 batch_size<512": {"pen", "new"},
    "batch_size<=64": {"pen"},
    "learning_rate=5e-4": {"base"},
    "learning_rate!=1": {"base"},
    "-learning_rate=1": {"base", "pen", "new"},
    "loss.penalty>0": {"pen"},
    "penalty>=0": {"pen", "new"},
    "PENALTY=0.2": {"pen"},
    "model.repeat_bias=true": {"pen"},
    "repeat_bias=FALSE": {"base"},
    "repeat_bias=1": set(),
    "loss=cross_entropy": {"base"},
    "schedule=Constant": {"base"},
    "schedule!=cosine": {"base"},
    "schedule>5": set(),
    "batch_size=many": set(),
    'batch_size=""': set(),
    'hidden_sizes="[16, 8]"': {"base"},
    "hidden_sizes=[16,8]": {"base"},
    "seed=null": {"pen"},
    "dataset=ml-100k": {"base"},
    "metric/ndcg@10>=0.05": {"base"},
    "ndcg@10>0.05": {"base"},
    "NDCG@10>0.01": {"base", "pen"},
    '"Loss val">6.5': {"pen"},
    "train<5.5": {"base"},
    'name="penalty λ=0.2"': {"pen"},
}


@pytest.mark.parametrize("query", PICKS)
def test_a_line_picks(query: str) -> None:
    assert chosen(query) == PICKS[query]


FAULTS = {
    "batch_sise=5": "did you mean batch_size?",
    "lerning_rate>0": "did you mean learning_rate?",
    "penalti>0": "did you mean loss.penalty?",
    "zzz=1": "no run has a setting or figure 'zzz'; allowed: ",
    "state:runing": "there is no state 'runing'; did you mean running?",
    "state:zzz": "allowed: queued, starting, running",
    "stat:running": "did you mean state:running?",
    "foo:bar": "before a colon stands state or tag",
    "tag:": "a value is missing after tag:",
    "batch_size=": "a value is missing after =",
    "batch_size>big": "> needs a number, this is 'big'",
    "batch_size>nan": "> needs a number, this is 'nan'",
    "batch_size=>5": "'=>' is no comparison; allowed: = != > >= < <=",
    "batch_size<>5": "'<>' is no comparison",
    "=5": "write a setting or a figure before '='",
    '"open': "a quotation mark is not closed",
    "repeat=1 name": "no run has a setting or figure 'repeat'; did you mean model.repeat_bias or ",
}


@pytest.mark.parametrize("query", FAULTS)
def test_a_fault_is_told_with_what_is_allowed(query: str) -> None:
    with pytest.raises(UsageError) as told:
        chosen(query)
    assert FAULTS[query] in str(told.value)


def test_an_end_that_several_keys_share_is_not_guessed() -> None:
    entries = [Entry("", "running", frozenset(), {"model.dropout": 1, "loss.dropout": 2})]
    with pytest.raises(UsageError, match="'dropout' may be model.dropout, loss.dropout; write one of them"):
        picked("dropout>0", entries)
    assert picked("model.dropout=1", entries) == [True]


def test_without_runs_any_setting_may_be_asked_for() -> None:
    assert picked("zzz=1 tag:x word", []) == []


def test_only_comparisons_need_figures() -> None:
    assert not compares("words state:running -tag:x")
    assert compares("words -ndcg@10>0.1")


def test_a_figure_that_is_no_number_can_be_found() -> None:
    entries = [Entry("", "failed", frozenset(), {"loss": value}) for value in (float("nan"), float("inf"), 1.0)]
    assert picked("loss=nan", entries) == [True, False, False]
    assert picked("loss>5", entries) == [False, True, False]
    assert picked("loss=inf", entries) == [False, True, False]


def test_settings_are_flat_in_their_order() -> None:
    nested = {"b": 1, "a": {"y": {"z": [1]}, "x": None}, "empty": {}, "c": "d"}
    assert list(flat_config(nested).items()) == [("b", 1), ("a.y.z", [1]), ("a.x", None), ("empty", {}), ("c", "d")]
    assert [text_of(value) for value in (True, None, 5e-4, 3, [16, 8], "λ")] == [
        "true",
        "null",
        "0.0005",
        "3",
        "[16, 8]",
        "λ",
    ]


def test_what_differs_is_what_not_all_have_alike() -> None:
    assert list(differing([{"a": 1, "b": 1, "c": True}, {"a": 1, "b": 2}])) == ["b", "c"]
    assert list(differing([{"a": 1}])) == list(differing([])) == []


names = st.sampled_from(["batch_size", "model.repeat_bias", "penalty", "ndcg@10", "loss", "schedule", "dataset", "λ"])
comparisons = st.sampled_from(["=", "!=", ">", ">=", "<", "<=", ":"])
values = st.one_of(st.floats().map(str), st.text(), st.sampled_from(["512", "true", "constant", "running", *STATES]))
terms = st.one_of(
    st.tuples(names, comparisons, values).map("".join),
    st.tuples(st.sampled_from(["state:", "tag:"]), values).map("".join),
    st.text(),
    st.text(alphabet='-"=<>!:@./ \tab5e'),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
entries = st.builds(
    Entry,
    words=st.text().map(str.casefold),
    state=st.sampled_from(STATES),
    tags=st.frozensets(st.text()),
    values=st.dictionaries(names | st.text(), scalars | st.lists(scalars) | st.dictionaries(st.text(), scalars)),
)


@given(terms, st.lists(entries, max_size=5))
def test_whatever_is_typed_a_line_is_read_or_refused_in_words(text: str, runs: list[Entry]) -> None:
    try:
        hits = picked(text, [*runs, *RUNS.values()])
    except UsageError as error:
        assert str(error)
    else:
        assert len(hits) == len(runs) + len(RUNS)


@given(terms.filter(lambda text: not text.startswith("-")), st.lists(entries, max_size=5))
def test_a_term_and_its_negation_share_the_runs_between_them(text: str, runs: list[Entry]) -> None:
    if len(text.split()) != 1 or text != text.strip() or '"' in text:
        text = f'"{text.replace(chr(34), "")}"'
    runs = [*runs, *RUNS.values()]
    try:
        hits = picked(text, runs)
    except UsageError:
        with pytest.raises(UsageError):
            picked(f"-{text}", runs)
    else:
        assert picked(f"-{text}", runs) == [not hit for hit in hits]


@given(terms, terms, st.lists(entries, max_size=5))
def test_two_terms_pick_what_both_pick(one: str, other: str, runs: list[Entry]) -> None:
    runs = [*runs, *RUNS.values()]
    try:
        both = [left and right for left, right in zip(picked(one, runs), picked(other, runs), strict=True)]
    except UsageError:
        return
    assert picked(f"{one} {other}", runs) == both


@given(st.integers(-5, 5) | st.floats(-5, 5), st.lists(st.integers(-5, 5) | st.floats(-5, 5), min_size=1))
def test_comparisons_of_numbers_are_those_of_arithmetic(asked: float, there: list[float]) -> None:
    runs = [Entry("", "running", frozenset(), {"x": value}) for value in there]
    assert picked(f"x>{asked!r}", runs) == [value > asked for value in there]
    assert picked(f"x<={asked!r}", runs) == [value <= asked for value in there]
    assert picked(f"x={asked!r}", runs) == [value == asked for value in there]
    assert picked(f"x!={asked!r}", runs) == [value != asked for value in there]
