"""The Compare page's question, its evaluation in the background, and its answer in words."""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import cast, get_args

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.data.prepared import splits_for
from recformer.data.split.base import Part
from recformer.data.ties import TimeTies
from recformer.data.user_sample import UserSample
from recformer.evaluation.compare import comparison_of, configs_of, seed_groups
from recformer.evaluation.ranks import MAX_K
from recformer.evaluation.significance import METRICS, PRIMARY, Question, asked
from recformer.evaluation.table import known_to
from recformer.registry import SPLITS
from recformer.run.model_ref import all_baselines, model_label
from recformer.run.overview import RunSummary, labels_of
from recformer.ui.compare.comparison import ComparisonChoice, ShownComparison
from recformer.ui.shared import readers
from recformer.ui.shared.evaluating import evaluated, pending, usable
from recformer.ui.shared.palette import run_styles
from recformer.ui.shared.run_views import MOST_MODELS, choose_models, suggestion
from recformer.ui.shared.selection import name_values_not_here, pick_many, pick_masking, pick_one, pick_recent
from recformer.ui.shared.words import explain, plain

CUTOFFS = ["1", "3", "5", "10", str(MAX_K)]
USUAL_CUTOFFS = ["3", "5", "10"]
LARGEST_MARGIN = 0.999  # a metric lies between 0 and 1
EVERYBODY = "everybody"
SAMPLES = (10_000, 100_000)  # users; where there are more than the last, that many are suggested
FIRST = ""  # what the address says where no reference is chosen
PARAMETERS = {
    *("runs", "baseline", "primary", "margin", "masking", "split", "part", "time_ties", "k", "recent", "window"),
    *("view", "metrics", "join_seeds", "users"),
    *("slice", "slice_metric", "x", "y", "all_settings", "article_k"),
}
"""All that the page's address may say."""


def choose(runs: list[RunSummary]) -> ComparisonChoice | None:
    """Models, reference, masking and split, all kept in the URL. None where there is nothing to compare yet."""
    chosen = choose_models(
        runs,
        "There is no checkpoint to compare yet.",
        key="compare.runs",
        suggested=[*chain(*suggestion(runs)), *all_baselines()][:MOST_MODELS],
        baselines=True,
        max_selections=MOST_MODELS,
        help="Checkpoints of your runs (the best by validation, or the last), imported models, and baselines that need "
        "no training: popularity, a Markov chain, sequential rules, item kNN, EASE.",
    )
    if not chosen:
        return None
    data = readers.dataset_of(chosen)
    help_on = partial(explain, nouns=data.nouns)
    left, second, third, last = st.columns([4, 3, 2, 5])  # what is asked
    middle, right, of_it, beside, latest = st.columns([4.5, 3.5, 2, 2.5, 1.5])  # under which protocol
    models, labels = {str(model): model for model in chosen}, labels_of(runs)
    reference = pick_one(
        left,
        "Reference",
        [FIRST, *models],
        "baseline",
        key="compare.baseline",
        show=lambda name: model_label(labels, models[name]) if name else "The first that counts",
        short=True,
        help=explain("difference"),
    )
    question = _pick_question(second, third)
    masking = pick_masking(middle, data.nouns)
    splits = splits_for(data)
    name_values_not_here("split", splits.__contains__)
    split = right.selectbox(
        "Split", splits, index=splits.index("leave_last_out"), key="split", bind="query-params", help=help_on("split")
    )
    part = pick_one(of_it, "Part", ["validation", "test"], "part", key="compare.part", short=True, help=explain("part"))
    ties = list(get_args(SPLITS.get(split).Options.model_fields["time_ties"].annotation))
    time_ties = pick_one(
        beside, "Time ties", ties, "time_ties", key="compare.time_ties", short=True, help=help_on("time_ties")
    )
    with last:
        lengths = pick_many("k", CUTOFFS, "k", key="compare.k", suggested=USUAL_CUTOFFS, short=True, help=help_on("k"))
    return ComparisonChoice(
        models=chosen,
        reference=models.get(reference),
        masking=masking,
        split=split,
        part=cast("Part", part),
        time_ties=cast("TimeTies", time_ties),
        recent=pick_recent(latest, data.nouns),
        sample=_pick_sample(data.num_users),
        question=question,
        cutoffs=sorted({*map(int, lengths or USUAL_CUTOFFS), question.k}),
        data=data,
        runs=runs,
    )


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
    name_values_not_here("margin", _is_margin)
    margin = second.number_input(
        "Margin",
        min_value=0.0,
        max_value=LARGEST_MARGIN,
        value=None,
        step=0.001,
        format="%.4g",
        placeholder="none",
        key="margin",
        bind="query-params",
        help=explain("margin"),
    )
    return asked(primary, margin or None)


def _is_margin(text: str) -> bool:
    with suppress(ValueError):
        return 0 <= float(text) <= LARGEST_MARGIN
    return False


def _pick_sample(num_users: int) -> UserSample | None:
    """How many users are evaluated, kept in the URL; asked where everybody would take long."""
    sizes = [size for size in SAMPLES if size < num_users]
    if not sizes:
        name_values_not_here("users", {EVERYBODY}.__contains__)
        return None
    options = [EVERYBODY, *map(str, sizes)]
    options = options[::-1] if num_users > SAMPLES[-1] else options  # the first is suggested
    chosen = pick_one(
        st.container(width=220),
        "Users",
        options,
        "users",
        key="compare.users",
        show=lambda size: f"everybody ({num_users:,})" if size == EVERYBODY else f"a sample of {int(size):,}",
        short=True,
        help=explain("users"),
    )
    return None if chosen == EVERYBODY else UserSample(int(chosen))


def compare(choice: ComparisonChoice) -> ShownComparison | None:
    """The comparison; None while it is computed in the background, or where none of the models can be evaluated: that
    is then shown instead."""
    under = (choice.split, choice.part, choice.recent, choice.time_ties, choice.sample)
    entries = pending(choice.models, choice.data, *under)
    able = usable(entries, choice.label)
    if not able:
        return None
    configs = configs_of(choice.runs)
    # Asked before anything is computed, so that it is always there.
    if len(seed_groups(list(able), configs)) == len(able) or not _seeds_together():
        configs = {}
    found = evaluated(able, choice.label)
    if not found:
        return None
    compared = comparison_of(found, choice.reference, choice.question, configs, labels_of(choice.runs))
    compared.require_known(choice.masking, [choice.question.k])
    choice = _up_to(choice, known_to(compared.evaluations, choice.masking))
    firsts = [group[0] for group in compared.members]
    styles = run_styles(choice.runs, [model.run for model in firsts])
    if compared.reference is not None and len(styles) > 1:
        styles[compared.reference] = replace(styles[compared.reference], is_reference=True)
    keys = tuple("+".join(able[model].key for model in group) for group in compared.members)
    return ShownComparison(
        compared.members,
        compared.evaluations,
        compared.reference,
        compared.question,
        readers.models_tested(choice.data.fingerprint, keys),
        choice=choice,
        labels=compared.labels,
        styles=styles,
        keys=keys,
    )


def _up_to(choice: ComparisonChoice, limit: int) -> ComparisonChoice:
    """The choice without cutoffs beyond what is known of lists that were made elsewhere, which are named."""
    if beyond := [str(k) for k in choice.cutoffs if k > limit]:
        st.caption(f"Not shown: k = {', '.join(beyond)}. Lists made elsewhere are known up to K = {limit} here.")
    return replace(choice, cutoffs=[k for k in choice.cutoffs if k <= limit])


def _seeds_together() -> bool:
    return st.toggle(
        "Take seeds together",
        value=True,
        key="join_seeds",
        bind="query-params",
        help="Some of these runs differ in their seed alone. Together they are one model: its figures are means over "
        "seeds, and what seeds change stands beside them.",
    )


def show_conclusion(comparison: ShownComparison) -> None:
    """The answer in one line, what the data leave open, and a warning where a model was trained on its test."""
    found = comparison.conclusion
    best = f"**{plain(found.model)}** " if found.model else ""
    st.markdown(f"{best}{plain(found.words)}", help=explain("primary"))
    if found.not_counted:
        st.markdown(f":orange[:material/block:] {plain(found.not_counted)}")
    if found.below:
        st.markdown(f":orange[:material/trending_down:] {plain(found.below)}")
    if found.seeds:
        st.caption(plain(found.seeds), help=explain("about"))
    if found.undecided:
        st.caption(plain(found.undecided), help=explain("detectable"))
    if found.elsewhere:
        st.caption(plain(found.elsewhere))
    if found.leaks:
        st.warning(plain(found.leaks), icon=":material/warning:")
    step = " Take it with *Part*." if comparison.protocol.part == "validation" else ""
    st.caption(plain(found.part) + step, help=explain("part"))


def show_protocol(comparison: ShownComparison) -> None:
    """How these numbers came about."""
    with st.container(border=True):
        st.markdown("**Protocol**", help=explain("protocol"))
        rows = comparison.protocol_rows.items()
        st.markdown(" · ".join(f":gray[{name}:] {plain(value)}" for name, value in rows))
