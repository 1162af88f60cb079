"""A comparison in words: its answer in a line, who was trained on the test, and the protocol behind every figure."""

import streamlit as st

from recformer.evaluation.summary import Result
from recformer.ui.comparison import Comparison
from recformer.ui.tables import SIGNIFICANT
from recformer.ui.words import explain, plain


def show_verdict(comparison: Comparison) -> None:
    """The answer in one line, and a warning where a model was trained on what it is evaluated on."""
    model, words = answer(comparison)
    st.markdown(f"**{plain(model)}** {plain(words)}", help=explain("ndcg"))
    leaks = leaks_of(comparison)
    if leaks:
        st.warning(plain(leaks), icon=":material/warning:")


def answer(comparison: Comparison) -> tuple[str, str]:
    """The model with the highest NDCG, and in words whether the data can tell it from the reference."""
    k = comparison.headline
    results = comparison.shown(["ndcg"])
    figures = [result["metrics"][f"ndcg@{k}"] for result in results]
    best = max(range(len(figures)), key=lambda place: figures[place]["mean"])
    model, words = comparison.labels[best], f"has the highest NDCG@{k}, {figures[best]['mean']:.4f}"
    difference = figures[best].get("difference")
    if len(results) == 1:
        return model, f"{words}."
    if difference is None:
        others = [figure["difference"]["p_holm"] for figure in figures if "difference" in figure]
        clear = all(p < SIGNIFICANT for p in others)
        return model, words + (", clearly above all others." if clear else ", but not clearly above all others.")
    if difference["p_holm"] < SIGNIFICANT:
        bounds = f"95% {difference['low']:+.4f} to {difference['high']:+.4f}"
        return model, f"{words}, clearly above the reference ({difference['mean']:+.4f}, {bounds})."
    return model, f"{words}; the difference to the reference ({difference['mean']:+.4f}) is within what chance gives."


def leaks_of(comparison: Comparison) -> str:
    """Which models were trained on cases they are evaluated on; empty where none was."""
    results = comparison.shown(["ndcg"])
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


def show_protocol(comparison: Comparison) -> None:
    """How these numbers came about, and what was trained on what."""
    rows = {name: plain(value) for name, value in protocol_rows(comparison).items()}
    with st.container(border=True):
        st.markdown("**Protocol**", help=explain("protocol"))
        st.markdown(" · ".join(f":gray[{name}:] {value}" for name, value in rows.items()))


def protocol_rows(comparison: Comparison) -> dict[str, str]:
    """The protocol card: what, and how it was done."""
    protocol, masking = comparison.protocol, comparison.choice.masking
    skipped = f", {protocol.skipped_users} users with too short a history" if protocol.skipped_users else ""
    return {
        "Dataset": f"{protocol.dataset} ({protocol.fingerprint})",
        "Split": f"{protocol.split['name']}, {protocol.part} part",
        "Cases": f"{protocol.cases:,}{skipped}, window of {protocol.window}",
        "Ranked": f"among all {protocol.item_set}; ties count against the model",
        "Masking": f"{masking} (duplication: none)",
        "Statistics": "1,000 bootstrap resamples of users, paired sign flips, Holm over each view; "
        f"seed {protocol.bootstrap_seed}",
        "Trained on test cases": "; ".join(
            f"{model.label} {'unknown' if (count := model.evaluation.trained_on) is None else count}"
            for model in comparison.models
        ),
    }
