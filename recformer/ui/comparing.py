"""The Compare page: what is compared, its evaluation in the background, the answer in a line, and the protocol."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from recformer.data.dataset import Dataset
from recformer.errors import RecformerError
from recformer.evaluation.ranks import Masking
from recformer.evaluation.seeds import join_seeds, seed_groups
from recformer.evaluation.summary import Evaluation, Result, view
from recformer.jobs.overview import RunSummary
from recformer.registry import BASELINES, SPLITS
from recformer.ui import readers
from recformer.ui.evaluating import computed, leave_out
from recformer.ui.palette import baseline_colours, run_colours
from recformer.ui.run_views import checkpoint_in_link, checkpoint_label, checkpoint_names, suggestion
from recformer.ui.selection import pick_many, pick_masking, pick_one
from recformer.ui.words import explain, plain

if TYPE_CHECKING:
    from recformer.evaluation.evaluate import Pending

CUTOFFS = [3, 5, 10]
RANKING = ["ndcg", "mrr", "hr", "map"]
MOST = 8


@dataclass(frozen=True)
class Choice:
    """What is compared with what, and how."""

    names: list[str]
    """RUN/best, RUN/last or baseline:NAME, the reference among them."""
    reference: str
    """One of `names`."""
    masking: Masking
    split: str
    window: int | None
    data: Dataset
    runs: list[RunSummary]

    def label(self, name: str) -> str:
        return model_label(self.runs, name)


@dataclass(frozen=True)
class Comparison:
    """What a view shows: evaluations side by side, with their labels and colours."""

    choice: Choice
    evaluations: list[Evaluation]
    keys: tuple[str, ...]
    """Say what the evaluations are of, for caches."""
    labels: list[str]
    colours: list[str]
    members: list[list[str]]
    """The names that each model stands for: one, or the seeds that are taken together."""
    reference: int
    summary: dict[str, Any]

    def shown(self, metrics: list[str], masking: Masking | None = None) -> list[Result]:
        """Results of these metrics at all cutoffs, with Holm over exactly them."""
        names = [f"{metric}@{k}" for metric in metrics for k in CUTOFFS]
        return view(self.summary, masking or self.choice.masking, names)

    def models(self, results: list[Result], metric: str) -> list[tuple[str, str, list[dict[str, float]]]]:
        """(label, colour, one interval a cutoff) of each model, as charts take them."""
        return [
            (label, colour, [result["metrics"][f"{metric}@{k}"] for k in CUTOFFS])
            for label, colour, result in zip(self.labels, self.colours, results, strict=True)
        ]


def model_label(runs: list[RunSummary], name: str) -> str:
    """The name people know a checkpoint or a baseline by."""
    baseline = name.removeprefix("baseline:")
    return BASELINES.get(baseline).TITLE if baseline != name else checkpoint_label(runs, name)


def choose(runs: list[RunSummary]) -> Choice | None:
    """Models, reference, masking and split, all kept in the URL. None where there is nothing to compare yet."""
    names = checkpoint_names(runs)
    if not names:
        st.info("There is no checkpoint to compare yet.", icon=":material/info:")
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
        return None

    def label(name: str) -> str:
        return model_label(runs, name)

    chosen = pick_many(
        "Models",
        [*names, *(f"baseline:{name}" for name in BASELINES.names())],
        "runs",
        key="compare.runs",
        suggested=suggestion(runs),
        show=label,
        read=checkpoint_in_link,
        max_selections=MOST,
        help="Checkpoints of your runs (the best by validation, or the last), and baselines that need no training: "
        "popularity, a Markov chain, item kNN.",
    )
    if not chosen:
        st.info("Pick one or more models above.", icon=":material/arrow_upward:")
        return None
    left, middle, right = st.columns(3)
    reference = pick_one(
        left, "Reference", chosen, "baseline", key="compare.baseline", show=label, help=explain("difference")
    )
    masking = pick_masking(middle)
    splits = SPLITS.names()
    split = right.selectbox(
        "Split", splits, index=splits.index("leave_last_out"), key="split", bind="query-params", help=explain("split")
    )
    window = _asked_window()
    return Choice(list(chosen), reference, masking, split, window, readers.dataset_of_models(chosen), runs)


def compare(choice: Choice) -> Comparison | None:
    """The comparison; None while it is computed in the background, where none of the models can be evaluated, or where
    their protocols differ: each is then shown instead."""
    usable = _usable(choice)
    if not usable or not _same_window(usable):
        return None
    together = _seeds_together(choice, list(usable))  # asked before anything is computed, so that it is always there
    found = {name: readers.stored(entry) for name, entry in usable.items()}
    missing = {name: usable[name] for name, evaluation in found.items() if evaluation is None}
    if missing and not computed([(choice.label(name), entry) for name, entry in missing.items()]):
        return None
    for name in missing:
        found[name] = readers.stored(usable[name])
    there = {name: entry for name, entry in found.items() if entry is not None}
    return _comparison(choice, there, usable, together) if there else None


def _usable(choice: Choice) -> "dict[str, Pending]":
    """What can be evaluated; what cannot is named with its reason, and the others are shown all the same."""
    usable: dict[str, Pending] = {}
    for name, entry in zip(
        choice.names, readers.pending(choice.names, choice.data, choice.split, choice.window), strict=True
    ):
        if isinstance(entry, RecformerError):
            leave_out(choice.label(name), entry)
        else:
            usable[name] = entry
    return usable


def _asked_window() -> int | None:
    """The window of the URL that all are evaluated under, with the way back; None for each model's own."""
    asked = st.query_params.get("window", "")
    if not (asked.isdecimal() and int(asked) > 0):
        return None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"All are evaluated under a window of {int(asked)}.", width="content")
        if st.button("Let each have its own", key="compare.own_window", icon=":material/undo:", type="tertiary"):
            del st.query_params["window"]
            st.rerun()
    return int(asked)


def _same_window(usable: "dict[str, Pending]") -> bool:
    """Whether all can stand in one table; where not, why, and the button that makes it so."""
    windows = {entry.empty.protocol.window for entry in usable.values()}
    if len(windows) == 1:
        return True
    sizes = ", ".join(map(str, sorted(windows)))
    st.error(
        f"These models see windows of different sizes ({sizes}). Their cases and their repeats are not the same, so "
        "their figures cannot stand in one table.",
        icon=":material/error:",
    )
    if st.button(f"Evaluate all under a window of {max(windows)}", key="compare.window", type="primary"):
        st.query_params["window"] = str(max(windows))
        st.rerun()
    st.caption(
        "Each model still reads as many movies as it was trained with; cases and repeats are those of the window."
    )
    return False


def _comparison(
    choice: Choice, found: dict[str, Evaluation], usable: "dict[str, Pending]", together: bool
) -> Comparison:
    names = list(found)
    groups = _seed_groups(choice, names) if together else [[position] for position in range(len(names))]
    evaluations = [join_seeds([found[names[position]] for position in group]) for group in groups]
    firsts = [names[group[0]] for group in groups]
    labels = [
        choice.label(name) + (f" ({len(group)} seeds)" if len(group) > 1 else "")
        for name, group in zip(firsts, groups, strict=True)
    ]
    colours = run_colours(choice.runs) | baseline_colours()
    wanted = choice.reference if choice.reference in names else names[0]
    reference = next(number for number, group in enumerate(groups) if names.index(wanted) in group)
    keys = tuple("+".join(usable[names[position]].key for position in group) for group in groups)
    return Comparison(
        choice=replace(choice, names=firsts, reference=firsts[reference]),
        evaluations=evaluations,
        keys=keys,
        labels=labels,
        colours=[colours[name.split("/")[0]] for name in firsts],
        members=[[names[position] for position in group] for group in groups],
        reference=reference,
        summary=readers.summary(keys, evaluations, tuple(CUTOFFS), reference),
    )


def _seed_groups(choice: Choice, names: list[str]) -> list[list[int]]:
    """Positions of `names` that are one recipe; imported runs and baselines stand alone."""
    configs = {run.run_id: run.config for run in choice.runs if not run.imported}
    return seed_groups([configs.get(name.split("/")[0]) for name in names], [name.rpartition("/")[2] for name in names])


def _seeds_together(choice: Choice, names: list[str]) -> bool:
    """Whether seeds of one recipe are one model; asked where there are any."""
    return len(_seed_groups(choice, names)) < len(names) and st.toggle(
        "Take seeds together",
        value=True,
        key="join_seeds",
        bind="query-params",
        help="Some of these runs differ in their seed alone. Together they are one model: its figures are means over "
        "seeds, and what seeds change stands beside them.",
    )


def show_verdict(comparison: Comparison) -> None:
    """The answer in one line: which is best at NDCG@10, and whether the data can tell it from the reference."""
    results = comparison.shown(["ndcg"])
    best = max(range(len(results)), key=lambda position: results[position]["metrics"]["ndcg@10"]["mean"])
    figure = results[best]["metrics"]["ndcg@10"]
    words = f"**{plain(comparison.labels[best])}** has the highest NDCG@10, {figure['mean']:.4f}"
    difference = figure.get("difference")
    if len(results) == 1:
        words += "."
    elif difference is None:
        others = [result["metrics"]["ndcg@10"].get("difference") for result in results]
        clear = all(other["p_holm"] < 0.05 for other in others if other is not None)
        words += ", clearly above all others." if clear else ", but not clearly above all others."
    elif difference["p_holm"] < 0.05:
        bounds = f"95% {difference['low']:+.4f} to {difference['high']:+.4f}"
        words += f", clearly above the reference ({difference['mean']:+.4f}, {bounds})."
    else:
        words += f"; the difference to the reference ({difference['mean']:+.4f}) is within what chance gives."
    st.markdown(words, help=explain("ndcg"))
    leaks = [
        _leak(label, result)
        for label, result in zip(comparison.labels, results, strict=True)
        if result["trained_on"] != 0
    ]
    if leaks:
        words = f"Trained on what it is evaluated on: {'; '.join(leaks)}. Such figures flatter the model."
        st.warning(words, icon=":material/warning:")


def _leak(label: str, result: Result) -> str:
    count = result["trained_on"]
    known = (
        "unknown, it was imported and probably leaks" if count is None else f"{count:,} of {result['cases']:,} cases"
    )
    return f"{plain(label)}: {known}"


def show_protocol(comparison: Comparison) -> None:
    """How these numbers came about, and what was trained on what."""
    protocol, masking = comparison.summary["protocol"], comparison.choice.masking
    skipped = f", {protocol['skipped_users']} users with too short a history" if protocol["skipped_users"] else ""
    rows = {
        "Dataset": f"{protocol['dataset']} :gray[:small[{protocol['fingerprint']}]]",
        "Split": f"{protocol['split']['name']}, {protocol['part']} part",
        "Cases": f"{protocol['cases']:,}{skipped}, window of {protocol['window']}",
        "Ranked": f"among all {protocol['item_set']}; ties count against the model",
        "Masking": f"{masking} (duplication: none)",
        "Statistics": "1,000 bootstrap resamples of users, paired sign flips, Holm over each view; "
        f"seed {protocol['bootstrap_seed']}",
        "Trained on test cases": "; ".join(
            f"{plain(label)} {'unknown' if entry.trained_on is None else entry.trained_on}"
            for label, entry in zip(comparison.labels, comparison.evaluations, strict=True)
        ),
    }
    with st.container(border=True):
        st.markdown("**Protocol**", help=explain("protocol"))
        st.markdown(" · ".join(f":gray[{name}:] {value}" for name, value in rows.items()))
