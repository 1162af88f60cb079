"""What the models' lists have in common, and what masking changes in each."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from recformer.ui.shared.words import explain, plain

OVERLAP_HELP = (
    "Jaccard: movies in both lists over movies in either, whatever their order. RBO: rank-biased overlap, where the "
    "top counts most (Webber et al. 2010, p = 0.9). Both go from 0, nothing in common, to 1, all alike."
)
MASKS = {"none": "nothing masked", "window": "window masked", "history": "history masked"}


def show_overlap(advice: Mapping[str, Any], names: Sequence[str]) -> None:
    """Jaccard and RBO of each pair of lists."""
    if not advice["overlap"]:
        return
    k = max(len(model["items"]) for model in advice["models"])
    st.markdown(f"**How alike the lists are** :gray[top {k}, {MASKS[advice['masking']]}]", help=OVERLAP_HELP)
    lines = ["| | Jaccard | RBO |", "|:--|--:|--:|"]
    for pair in advice["overlap"]:
        one, other = [plain(names[int(place)]) for place in pair["models"]]
        lines.append(f"| {one} and {other} | {pair['jaccard']:.2f} | {pair['rbo']:.2f} |")
    st.markdown("\n".join(lines))


def show_masking(advice: Mapping[str, Any], names: Sequence[str], titles: Mapping[int, str], k: int) -> None:
    """For each model, the movies of its raw top k that masking takes out, and the held-out movie's rank under each."""
    st.markdown(f"**What masking changes** :gray[in each model's raw top {k}]", help=explain("masking"))
    if advice["target"] is not None:
        st.markdown("\n".join(_ranks(advice, names)))
    for model, name in zip(advice["models"], names, strict=True):
        out = model["masking"]["taken_out"]
        more = [item for item in out["history"] if item not in out["window"]]
        also = f"; :gray[the history also] {_titles(more, titles)}" if more else ""
        st.markdown(f"**{plain(name)}** :gray[the window takes out] {_titles(out['window'], titles)}{also}.")


def _ranks(advice: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """A table of the held-out movie's ranks, those under the masking chosen in bold."""
    lines = [f"| Rank of the held-out movie | {' | '.join(MASKS.values())} |", "|:--|--:|--:|--:|"]
    for model, name in zip(advice["models"], names, strict=True):
        ranks = model["masking"]["target_ranks"]
        cells = [f"**{ranks[mask]:,}**" if mask == advice["masking"] else f"{ranks[mask]:,}" for mask in MASKS]
        lines.append(f"| {plain(name)} | {' | '.join(cells)} |")
    return lines


def _titles(items: Sequence[int], titles: Mapping[int, str]) -> str:
    return ", ".join(f"*{plain(titles[item])}*" for item in items) or "nothing"
