"""The Compare page's question: what is compared with what, and its evaluation in the background."""

from typing import TYPE_CHECKING, cast, get_args

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.data.ties import TimeTies
from recformer.evaluation.compare import comparison_of, configs_of, seed_groups
from recformer.evaluation.ranks import MAX_K
from recformer.evaluation.significance import METRICS, PRIMARY, Question, asked
from recformer.registry import SPLITS
from recformer.run.model_ref import ModelRef, all_baselines
from recformer.run.overview import RunSummary
from recformer.ui.shared import readers
from recformer.ui.shared.comparison import ComparisonChoice, ShownComparison, styles_of
from recformer.ui.shared.evaluating import evaluated, usable
from recformer.ui.shared.run_views import checkpoints, labels_of, model_label, pick_models, suggestion
from recformer.ui.shared.selection import pick_many, pick_masking, pick_one
from recformer.ui.shared.words import explain

if TYPE_CHECKING:
    from recformer.evaluation.evaluate import Pending

CUTOFFS = ["1", "3", "5", "10", str(MAX_K)]
USUAL_CUTOFFS = ["3", "5", "10"]
MOST = 8
PARAMETERS = {
    *("runs", "baseline", "primary", "margin", "masking", "split", "time_ties", "k", "window"),
    *("view", "metrics", "join_seeds"),
    *("slice", "slice_metric", "x", "y", "all_settings", "article_k"),
}
"""All that the page's address may say."""


def choose(runs: list[RunSummary]) -> ComparisonChoice | None:
    """Models, reference, masking and split, all kept in the URL. None where there is nothing to compare yet."""
    if not checkpoints(runs):
        st.info("There is no checkpoint to compare yet.", icon=":material/info:")
        st.page_link("pages/train.py", label="Start a training run", icon=":material/play_circle:")
        return None
    chosen = pick_models(
        runs,
        key="compare.runs",
        suggested=[*suggestion(runs), *all_baselines()],
        baselines=True,
        max_selections=MOST,
        help="Checkpoints of your runs (the best by validation, or the last), imported models, and baselines that need "
        "no training: popularity, a Markov chain, item kNN.",
    )
    if not chosen:
        st.info("Pick one or more models above.", icon=":material/arrow_upward:")
        return None
    left, second, third, last = st.columns([4, 3, 2, 5])  # what is asked
    middle, right, beside, _ = st.columns([4.5, 3.5, 2.5, 3.5])  # under which protocol
    models, labels = {str(model): model for model in chosen}, labels_of(runs)
    reference = pick_one(
        left,
        "Reference",
        list(models),
        "baseline",
        key="compare.baseline",
        show=lambda name: model_label(labels, models[name]),
        help=explain("difference"),
    )
    question = _pick_question(second, third)
    masking = pick_masking(middle)
    splits = SPLITS.names()
    split = right.selectbox(
        "Split", splits, index=splits.index("leave_last_out"), key="split", bind="query-params", help=explain("split")
    )
    time_ties = _pick_time_ties(beside, split)
    with last:
        cutoffs = sorted({*_pick_cutoffs(), question.k})
    window = _asked_window()
    data, asked_for = readers.dataset_of(chosen), models[reference]
    return ComparisonChoice(chosen, asked_for, masking, split, time_ties, window, question, cutoffs, data, runs)


def _pick_time_ties(place: DeltaGenerator, split: str) -> TimeTies:
    """How ties in time are broken, of the ways that the split allows; kept in the URL."""
    ways = list(get_args(SPLITS.get(split).Options.model_fields["time_ties"].annotation))
    chosen = pick_one(
        place, "Time ties", ways, "time_ties", key="compare.time_ties", short=True, help=explain("time_ties")
    )
    return cast("TimeTies", chosen)


def _pick_question(first: DeltaGenerator, second: DeltaGenerator) -> Question:
    """The metric that decides, and the difference that does not matter, both kept in the URL."""
    names = [f"{metric}@{k}" for metric in METRICS for k in CUTOFFS]
    primary = pick_one(
        first,
        "Primary metric",
        sorted(names, key=lambda name: name != PRIMARY),
        "primary",
        key="compare.primary",
        show=str.upper,
        short=True,
        help=explain("primary"),
    )
    margin = second.number_input(
        "Margin",
        min_value=0.0,
        max_value=1.0,
        value=None,
        step=0.001,
        format="%.4g",
        placeholder="none",
        key="margin",
        bind="query-params",
        help=explain("margin"),
    )
    return asked(primary, margin or None)


def _pick_cutoffs() -> list[int]:
    """The lengths of list that figures are for; the usual ones where all are taken away."""
    chosen = pick_many("k", CUTOFFS, "k", key="compare.k", suggested=USUAL_CUTOFFS, short=True, help=explain("k"))
    return sorted(map(int, chosen or USUAL_CUTOFFS))


def compare(choice: ComparisonChoice) -> ShownComparison | None:
    """The comparison; None while it is computed in the background, where none of the models can be evaluated, or where
    their protocols differ: each is then shown instead."""
    entries = readers.pending(choice.models, choice.data, choice.split, choice.window, choice.time_ties)
    able = usable(entries, choice.label)
    if not able or not _same_window(able):
        return None
    configs = configs_of(choice.runs)
    # Asked before anything is computed, so that it is always there.
    together = len(seed_groups(list(able), configs)) < len(able) and _seeds_together()
    found = evaluated(able, choice.label)
    if not found:
        return None
    reference = choice.reference if choice.reference in found else next(iter(found))
    compared = comparison_of(found, reference, choice.question, configs if together else {})
    firsts = [group[0] for group in compared.members]
    return ShownComparison(
        compared.members,
        compared.evaluations,
        compared.reference,
        compared.question,
        choice=choice,
        labels=[
            choice.label(group[0]) + (f" ({len(group)} seeds)" if len(group) > 1 else "") for group in compared.members
        ],
        styles=styles_of(choice.runs, firsts, compared.reference),
        keys=tuple("+".join(able[model].key for model in group) for group in compared.members),
    )


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


def _same_window(usable: "dict[ModelRef, Pending]") -> bool:
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


def _seeds_together() -> bool:
    return st.toggle(
        "Take seeds together",
        value=True,
        key="join_seeds",
        bind="query-params",
        help="Some of these runs differ in their seed alone. Together they are one model: its figures are means over "
        "seeds, and what seeds change stands beside them.",
    )
