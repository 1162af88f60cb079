"""What the models' lists have in common, and what masking changes in each."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from recformer.ui.words import explain, plain

OVERLAP_HELP = (
    "Jaccard: movies in both lists over movies in either, whatever their order. RBO: rank-biased overlap, where the top "
    "counts most (Webber et al. 2010, p = 0.9). Both go from 0, nothing in common, to 1, all alike."
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
    ranked = advice["target"] is not None
    header = [
        "",
        *([f"rank, {words}" for words in MASKS.values()] if ranked else []),
        "the window takes out",
        "the history takes out",
    ]
    lines = [f"| {' | '.join(header)} |", "|:--" + "|--:" * (3 if ranked else 0) + "|:--|:--|"]
    for model, name in zip(advice["models"], names, strict=True):
        masking = model["masking"]
        ranks = [f"{masking['target_ranks'][mask]:,}" for mask in MASKS] if ranked else []
        out = [_titles(masking["taken_out"][mask], titles) for mask in ("window", "history")]
        lines.append(f"| {' | '.join([plain(name), *_in_bold(ranks, advice['masking']), *out])} |")
    st.markdown("\n".join(lines))


def _in_bold(ranks: list[str], masking: str) -> list[str]:
    """The rank under the masking chosen in bold."""
    return [f"**{rank}**" if mask == masking else rank for rank, mask in zip(ranks, MASKS, strict=False)]


def _titles(items: Sequence[int], titles: Mapping[int, str]) -> str:
    if not items:
        return ":gray[nothing]"
    return f"{len(items)}: {', '.join(plain(titles[item]) for item in items)}"
