"""Several models' lists side by side, each item a card, with lines that follow an item from list to list.

Below them, why the chosen item is there, what the lists have in common and what masking changes in each. The cards are
a component of our own: Streamlit has none that point at each other. The browser writes titles as text, never as markup.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.components import v2

from recformer.data.dataset import Dataset, Id
from recformer.evaluation.report import as_markdown
from recformer.recommend.user_case import NOT_ASKED
from recformer.ui.recommend.asking import ShownUser
from recformer.ui.recommend.item_words import about
from recformer.ui.recommend.window_editor import WHY_HELP
from recformer.ui.shared.live_chart import asset
from recformer.ui.shared.palette import MOST_CHIPS, category_colour
from recformer.ui.shared.words import explain, plain

FOLDER = Path(__file__).parent
MARKS = {  # what an item says of itself → kind, what it means
    "hit": ("hit", "the held-out {item}"),
    "repeat_window": ("repeat", "in the input window"),
    "seen": ("seen", "earlier in the history"),
}
OVERLAP_HELP = (
    "Jaccard: {items} in both lists over {items} in either, whatever their order. RBO: rank-biased overlap, where the "
    "top counts most (Webber et al. 2010, p = 0.9). Both go from 0, nothing in common, to 1, all alike."
)
MASKS = {"none": "nothing masked", "window": "window masked", "history": "history masked"}


def show_lists(shown: ShownUser, posters: Mapping[Id, str], choose: Callable[[Id], None]) -> None:
    """A column a model, with a card an item; `choose` is called with the id of the item that somebody clicks.

    `posters`: item id to an address the browser may load, for those that have one.
    """

    def chosen() -> None:
        clicked = (st.session_state.get("recommend.lists") or {}).get("chosen")
        if isinstance(clicked, int | str):
            choose(clicked)

    data, models = shown.choice.data, shown.advice["models"]
    highest = max((item["score"] or 0.0 for model in models for item in model["items"]), default=1.0)
    columns: list[dict[str, Any]] = []
    for model, name, checkpoint, colour in zip(models, shown.names, shown.checkpoints, shown.colours, strict=True):
        rank = model["target_rank"]
        where = "not in the list" if rank is None else f"at rank {rank:,} of {data.num_items:,}"
        target = "" if shown.advice["target"] is None else f"held-out {data.nouns.item} {where}"
        cards = [_card(item, data, highest, posters.get(item["item_id"])) for item in model["items"]]
        head = {"name": name, "checkpoint": checkpoint, "colour": colour, "target": target}
        columns.append(head | {"cards": cards})
    lists = {"columns": columns, "chosen": shown.advice["why"]["item_id"], "ask": f"Why this {data.nouns.item}?"}
    _component()(key="recommend.lists", data=lists, on_chosen_change=chosen, width="stretch", height="content")


def _card(item: Mapping[str, Any], data: Dataset, highest: float, poster: str | None) -> dict[str, Any]:
    title, year, categories = about(data, item["item_id"])
    mark = next((MARKS[name] for name in MARKS if item[name]), None)
    return {
        "id": item["item_id"],
        "rank": item["rank"],
        "title": title,
        "year": year,
        "chips": [{"name": name, "colour": category_colour(name)} for name in categories[:MOST_CHIPS]],
        "share": "" if item["score"] is None else f"{100 * item['score']:.1f}%",
        "bar": round(100 * (item["score"] or 0.0) / highest, 1) if highest else 0.0,
        "mark": None if mark is None else {"kind": mark[0], "means": data.nouns.put_into(mark[1])},
        "poster": poster,
    }


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    html = '<div class="scroller"><div class="lists"></div></div>'
    style, script = asset("item_lists.css", FOLDER), asset("item_lists.js", FOLDER)
    return v2.component("item_lists", html=html, css=style, js=script)


def show_why(shown: ShownUser) -> None:
    """A sentence a model: which item of the window speaks for the recommendation most."""
    st.markdown(f"**Why {plain(shown.advice['why']['title'])}?**", help=shown.choice.data.nouns.put_into(WHY_HELP))
    lines = [
        # The run's colour beside its name; Streamlit's own Markdown knows a few colours only.
        f'<span style="color:{colour}">&#9632;</span> **{plain(name)}** {_reason(model["why"])}'
        for model, name, colour in zip(shown.advice["models"], shown.names, shown.colours, strict=True)
    ]
    st.markdown("  \n".join(lines), unsafe_allow_html=True)


def _reason(why: Mapping[str, Any] | None) -> str:
    """One sentence about the item of the window that does most, as Markdown."""
    if why is None:
        return f"is {NOT_ASKED}."
    now = f"ranks it {why['rank']:,} at {_percent(why['score'])}"
    lifts = [reason["lift"] for reason in why["reasons"]]
    if not lifts:
        return f"{now}; the window is empty, so nothing in it speaks for or against it."
    best, worst = (why["reasons"][lifts.index(end)] for end in (max(lifts), min(lifts)))
    if best["lift"] > 0:
        return f"{now}. *{plain(best['title'])}* speaks for it most: {_without(best)}."
    most = f"*{plain(worst['title'])}* speaks against it most: {_without(worst)}"
    return f"{now}. Nothing in the window speaks for it; {most}."


def _without(reason: Mapping[str, Any]) -> str:
    return f"without it, rank {reason['rank_without']:,} at {_percent(reason['score_without'])}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.0f}%"


def show_overlap(shown: ShownUser) -> None:
    """Jaccard and RBO of each pair of lists."""
    advice = shown.advice
    if not advice["overlap"]:
        return
    k = max(len(model["items"]) for model in advice["models"])
    st.markdown(
        f"**How alike the lists are** :gray[top {k}, {MASKS[advice['masking']]}]",
        help=shown.choice.data.nouns.put_into(OVERLAP_HELP),
    )
    rows: list[list[str]] = []
    for pair in advice["overlap"]:
        names = " and ".join(plain(shown.names[int(place)]) for place in pair["models"])
        rows.append([names, f"{pair['jaccard']:.2f}", f"{pair['rbo']:.2f}"])
    st.markdown(as_markdown(pd.DataFrame(rows, columns=["", "Jaccard", "RBO"]), ":--", "--:"))


def show_masking(shown: ShownUser) -> None:
    """For each model, the items of its raw top k that masking takes out, and the held-out one's rank under each
    masking, the chosen one in bold."""
    advice, data = shown.advice, shown.choice.data
    raw = f"in each model's raw top {shown.choice.k}"
    st.markdown(f"**What masking changes** :gray[{raw}]", help=explain("masking", data.nouns))
    if advice["target"] is not None:
        rows: list[list[str]] = []
        for model, name in zip(advice["models"], shown.names, strict=True):
            places = model["masking"]["target_ranks"]
            ranks = {mask: "not in the list" if places[mask] is None else f"{places[mask]:,}" for mask in MASKS}
            ranks[advice["masking"]] = f"**{ranks[advice['masking']]}**"
            rows.append([plain(name), *ranks.values()])
        table = pd.DataFrame(rows, columns=[f"Rank of the held-out {data.nouns.item}", *MASKS.values()])
        st.markdown(as_markdown(table, ":--", "--:"))
    for model, name in zip(advice["models"], shown.names, strict=True):
        out = model["masking"]["taken_out"]
        more = [item for item in out["history"] if item not in out["window"]]
        also = f"; :gray[the history also] {_titles(more, data)}" if more else ""
        st.markdown(f"**{plain(name)}** :gray[the window takes out] {_titles(out['window'], data)}{also}.")


def _titles(items: Sequence[Id], data: Dataset) -> str:
    tokens = data.item_ids.get_indexer(list(items))
    return ", ".join(f"*{plain(data.title_of(token))}*" for token in tokens) or "nothing"
