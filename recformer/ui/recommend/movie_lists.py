"""Several models' lists side by side, each movie a card, with lines that follow a movie from list to list.

Below them, what the lists have in common and what masking changes in each. The cards are a component of our own:
Streamlit has none that point at each other. What it shows is made by `lists_of`, which knows nothing of Streamlit; the
browser writes titles as text, never as markup.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.components import v2

from recformer.data.dataset import Dataset
from recformer.evaluation.report import as_markdown
from recformer.ui.shared.live_chart import asset
from recformer.ui.shared.palette import MOST_GENRES, genre_colour
from recformer.ui.shared.words import explain, plain

FOLDER = Path(__file__).parent

HTML = '<div class="scroller"><div class="lists"></div></div>'
MARKS = {  # what an item says of itself → kind, word, what it means
    "hit": ("hit", "the held-out movie"),
    "repeat_window": ("repeat", "in the input window"),
    "seen": ("seen", "earlier in the history"),
}
OVERLAP_HELP = (
    "Jaccard: movies in both lists over movies in either, whatever their order. RBO: rank-biased overlap, where the "
    "top counts most (Webber et al. 2010, p = 0.9). Both go from 0, nothing in common, to 1, all alike."
)
MASKS = {"none": "nothing masked", "window": "window masked", "history": "history masked"}


def lists_of(
    advice: Mapping[str, Any],
    dataset: Dataset,
    titles: Sequence[tuple[str, str, str]],
    posters: Mapping[int, str],
) -> dict[str, Any]:
    """What the browser draws: a column a model, with a card a movie.

    Args:
        advice: as `side_by_side.advice_of` gives it.
        titles: name, checkpoint in small print and colour of each of its models.
        posters: item id to an address the browser may load, for those that have one.
    """
    highest = max((item["score"] for model in advice["models"] for item in model["items"]), default=1.0)
    places = {int(item): place for place, item in enumerate(dataset.item_ids)}
    columns: list[dict[str, Any]] = []
    for model, (name, checkpoint, colour) in zip(advice["models"], titles, strict=True):
        rank = model["target_rank"]
        target = "" if rank is None else f"held-out movie at rank {rank:,} of {dataset.num_items:,}"
        cards = [
            _card(item, dataset.movies.iloc[places[item["item_id"]]], highest, posters.get(item["item_id"]))
            for item in model["items"]
        ]
        head = {"name": name, "checkpoint": checkpoint, "colour": colour, "target": target}
        columns.append(head | {"cards": cards})
    return {"columns": columns, "chosen": advice["why"]["item_id"]}


def _card(item: Mapping[str, Any], movie: "pd.Series", highest: float, poster: str | None) -> dict[str, Any]:
    mark = next((MARKS[name] for name in MARKS if item[name]), None)
    return {
        "id": item["item_id"],
        "rank": item["rank"],
        "title": str(movie["title"]),
        "year": "" if movie["year"] is pd.NA else str(movie["year"]),
        "genres": [{"name": name, "colour": genre_colour(name)} for name in list(movie["genres"])[:MOST_GENRES]],
        "share": f"{100 * item['score']:.1f}%",
        "bar": round(100 * item["score"] / highest, 1) if highest else 0.0,
        "mark": None if mark is None else {"kind": mark[0], "means": mark[1]},
        "poster": poster,
    }


def show_lists(lists: dict[str, Any], choose: Callable[[int], None]) -> None:
    """Draw the lists; `choose` is called with the id of the movie that somebody clicks."""

    def chosen() -> None:
        clicked = (st.session_state.get("recommend.lists") or {}).get("chosen")
        if isinstance(clicked, int):
            choose(clicked)

    component()(key="recommend.lists", data=lists, on_chosen_change=chosen, width="stretch", height="content")


@st.cache_resource(show_spinner=False)
def component() -> Any:
    """The component, made once for the app."""
    style, script = asset("movie_lists.css", FOLDER), asset("movie_lists.js", FOLDER)
    return v2.component("movie_lists", html=HTML, css=style, js=script)


def show_overlap(advice: Mapping[str, Any], names: Sequence[str]) -> None:
    """Jaccard and RBO of each pair of lists."""
    if not advice["overlap"]:
        return
    k = max(len(model["items"]) for model in advice["models"])
    st.markdown(f"**How alike the lists are** :gray[top {k}, {MASKS[advice['masking']]}]", help=OVERLAP_HELP)
    rows = [
        [
            " and ".join(plain(names[int(place)]) for place in pair["models"]),
            f"{pair['jaccard']:.2f}",
            f"{pair['rbo']:.2f}",
        ]
        for pair in advice["overlap"]
    ]
    st.markdown(as_markdown(pd.DataFrame(rows, columns=["", "Jaccard", "RBO"]), ":--", "--:"))


def show_masking(advice: Mapping[str, Any], names: Sequence[str], titles: Mapping[int, str], k: int) -> None:
    """For each model, the movies of its raw top k that masking takes out, and the held-out movie's rank under each
    masking, the chosen one in bold."""
    st.markdown(f"**What masking changes** :gray[in each model's raw top {k}]", help=explain("masking"))
    if advice["target"] is not None:
        rows: list[list[str]] = []
        for model, name in zip(advice["models"], names, strict=True):
            ranks = {mask: f"{model['masking']['target_ranks'][mask]:,}" for mask in MASKS}
            ranks[advice["masking"]] = f"**{ranks[advice['masking']]}**"
            rows.append([plain(name), *ranks.values()])
        table = pd.DataFrame(rows, columns=["Rank of the held-out movie", *MASKS.values()])
        st.markdown(as_markdown(table, ":--", "--:"))
    for model, name in zip(advice["models"], names, strict=True):
        out = model["masking"]["taken_out"]
        more = [item for item in out["history"] if item not in out["window"]]
        also = f"; :gray[the history also] {_titles(more, titles)}" if more else ""
        st.markdown(f"**{plain(name)}** :gray[the window takes out] {_titles(out['window'], titles)}{also}.")


def _titles(items: Sequence[int], titles: Mapping[int, str]) -> str:
    return ", ".join(f"*{plain(titles[item])}*" for item in items) or "nothing"
