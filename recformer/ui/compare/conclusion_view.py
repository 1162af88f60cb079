"""A comparison in words: its answer in a line, who was trained on the test, and the protocol behind every figure."""

import streamlit as st

from recformer.evaluation.conclusion import Conclusion, answer
from recformer.evaluation.report import ties_in_time
from recformer.evaluation.table import Result
from recformer.ui.shared.comparison import ShownComparison
from recformer.ui.shared.words import explain, plain


def show_verdict(comparison: ShownComparison) -> None:
    """The answer in one line, what the data leave open, and a warning where a model was trained on its test."""
    found = answer_of(comparison)
    st.markdown(f"**{plain(found.model)}** {plain(found.words)}", help=explain("primary"))
    if found.below:
        st.markdown(f":orange[:material/trending_down:] {plain(found.below)}")
    if found.undecided:
        st.caption(plain(found.undecided), help=explain("detectable"))
    leaks = leaks_of(comparison)
    if leaks:
        st.warning(plain(leaks), icon=":material/warning:")


def answer_of(comparison: ShownComparison) -> Conclusion:
    """What the primary metric says; see evaluation.conclusion."""
    return answer(comparison.labels, comparison.primary(), comparison.question)


def leaks_of(comparison: ShownComparison) -> str:
    """Which models were trained on cases they are evaluated on; empty where none was."""
    results = comparison.primary()
    found = [
        _leak(label, result)
        for label, result in zip(comparison.labels, results, strict=True)
        if result["trained_on"] != 0
    ]
    return f"Trained on what it is evaluated on: {'; '.join(found)}. Such figures flatter the model." if found else ""


def _leak(label: str, result: Result) -> str:
    count = result["trained_on"]
    known = (
        "unknown, it was imported and probably leaks" if count is None else f"{count:,} of {result['cases']:,} cases"
    )
    if not result["data_known"]:
        known += "; nothing says which data it is from, only its sizes fit"
    return f"{label}: {known}"


def show_protocol(comparison: ShownComparison) -> None:
    """How these numbers came about, and what was trained on what."""
    rows = {name: plain(value) for name, value in protocol_rows(comparison).items()}
    with st.container(border=True):
        st.markdown("**Protocol**", help=explain("protocol"))
        st.markdown(" · ".join(f":gray[{name}:] {value}" for name, value in rows.items()))


def protocol_rows(comparison: ShownComparison) -> dict[str, str]:
    """The protocol card: what, and how it was done."""
    protocol, masking = comparison.protocol, comparison.choice.masking
    skipped = f", {protocol.skipped_users} users with too short a history" if protocol.skipped_users else ""
    return {
        "Dataset": f"{protocol.dataset} ({protocol.fingerprint})",
        "Split": f"{protocol.split['name']}, {protocol.part} part",
        "Cases": f"{protocol.cases:,}{skipped}, window of {protocol.window}",
        "Ranked": f"among all {protocol.item_set}; ties in score count against the model",
        "Time": ties_in_time(protocol),
        "Masking": f"{masking} (duplication: none)",
        "Statistics": f"{comparison.question.title} is primary; 1,000 bootstrap resamples of users, paired sign flips, "
        f"Holm over the primary differences and over the others of a view; seed {protocol.bootstrap_seed}",
        "Trained on test cases": "; ".join(
            f"{model.label} {'unknown' if (count := model.evaluation.trained_on) is None else count}"
            for model in comparison.models
        ),
    }
