"""User by user: where two models place each held-out item; a click opens the user in Recommend."""

from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from recformer.data.nouns import Nouns
from recformer.evaluation.ranks import NOT_LISTED
from recformer.ui.compare.comparison import Model, ShownComparison
from recformer.ui.shared.charts import quiet
from recformer.ui.shared.live_chart import show_live
from recformer.ui.shared.palette import REFERENCE
from recformer.ui.shared.selection import pick_one
from recformer.ui.shared.words import as_text, explain, plain

HEIGHT = 560
JITTER = 0.04  # of a factor of e: items at the same two ranks lie beside one another


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models' ranks, from 1, of the same N held-out items."""

    across: Model
    upwards: Model
    k: int
    x: NDArray[np.int32]
    """(N,) by the model of the horizontal axis; NOT_LISTED where a list made elsewhere does not have it."""
    y: NDArray[np.int32]
    """(N,) by the model of the vertical axis."""
    users: NDArray[np.object_]
    """(N,) user ids."""
    titles: NDArray[np.object_]
    """(N,) of the held-out items."""
    nouns: Nouns

    @property
    def groups(self) -> list[tuple[str, str, str, NDArray[np.bool_]]]:
        """(words, colour, symbol, members) of who finds the item in the first k, the rest first."""
        one, other = self.x <= self.k, self.y <= self.k
        return [
            ("neither finds it", REFERENCE, "circle-open", ~one & ~other),
            ("both find it", REFERENCE, "circle", one & other),
            (f"only {self.across.label}", self.across.style.colour, self.across.style.symbol, one & ~other),
            (f"only {self.upwards.label}", self.upwards.style.colour, self.upwards.style.symbol, ~one & other),
        ]


def show_users(comparison: ShownComparison) -> None:
    """The scatter of two models, with what it says in words."""
    if len(comparison.models) < 2:
        st.info("Pick a second model above to see where the two differ.", icon=":material/arrow_upward:")
        return
    pair = _pick(comparison)
    st.markdown(summary(pair), help=explain("scatter", pair.nouns))
    show_live(st.container(), scatter_chart(pair), "compare.users", _recommend(comparison, pair))
    unknown = " What a list made elsewhere does not have stands outermost: its rank is unknown."
    any_lists = pair.across.evaluation.ranks.are_lists or pair.upwards.evaluation.ranks.are_lists
    st.caption(
        f"Each point is a held-out {pair.nouns.item}; {comparison.choice.masking} masked. Click one to see that user's "
        "lists in Recommend. Points at the same ranks are drawn a little apart." + unknown * any_lists
    )


def _pick(comparison: ShownComparison) -> Pair:
    """The two models, kept in the URL: the reference, and the first other one."""
    models = {str(model.members[0]): model for model in comparison.models}
    reference = str(comparison.reference_model.members[0])
    left, right = st.columns(2)

    def label(name: str) -> str:
        return comparison.choice.label(models[name].members[0])

    x_names = sorted(models, key=lambda name: name != reference)
    x = pick_one(left, "Across", x_names, "x", key="compare.x", show=label, short=True)
    y_names = [name for name in models if name != x]
    if st.query_params.get("y") == x:  # a model beside itself shows nothing: another one is taken
        del st.query_params["y"]
    y = pick_one(right, "Upwards", y_names, "y", key="compare.y", show=label)
    return pair_of(comparison, models[x], models[y])


def pair_of(comparison: ShownComparison, across: Model, upwards: Model) -> Pair:
    """The ranks of two of the comparison's models; of seeds taken together, those of the first."""
    choice = comparison.choice
    one, other = across.evaluation.ranks, upwards.evaluation.ranks
    names = np.append(choice.data.titles.to_numpy(object), ["(begin)", "(end)"])  # of SOS and EOS
    users, titles = choice.data.user_ids[one.user].to_numpy(object), names[one.target]
    if one.num_targets is not None:
        more = one.num_targets - 1
        titles = np.array(
            [f"{title} or {n} more" if n else title for title, n in zip(titles, more, strict=True)], object
        )
    x, y = one.rank(choice.masking), other.rank(choice.masking)
    return Pair(across, upwards, comparison.question.k, x, y, users, titles, choice.data.nouns)


def summary(pair: Pair) -> str:
    """How many held-out items each of the two finds (Markdown)."""
    neither, both, one, other = (int(members.sum()) for *_, members in pair.groups)
    return (
        f"Of {len(pair.users):,} held-out {pair.nouns.items} **{plain(pair.across.label)}** finds {one + both:,} in "
        f"its first {pair.k}, **{plain(pair.upwards.label)}** {other + both:,}: both {both:,}, only the one {one:,}, "
        f"only the other {other:,}, neither {neither:,}."
    )


def scatter_chart(pair: Pair) -> go.Figure:
    """Rank against rank on logarithmic axes, the diagonal, and lines at k; `customdata` is the user's id."""
    listed = np.concatenate([ranks[ranks < NOT_LISTED] for ranks in (pair.x, pair.y)])
    beyond = int(listed.max(initial=pair.k)) * 2  # where what no list has is drawn: further than all others
    drawn = [np.minimum(ranks, beyond) for ranks in (pair.x, pair.y)]
    shift = np.exp(np.random.default_rng(0).uniform(-JITTER, JITTER, (2, len(pair.x))))
    x, y = drawn[0] * shift[0], drawn[1] * shift[1]
    ends, at_k = [0.8, float(max(drawn[0].max(), drawn[1].max(), pair.k)) * 1.2], [pair.k + 0.5] * 2
    figure = go.Figure()
    for across, upwards, dash in ((ends, ends, "dot"), (at_k, ends, "solid"), (ends, at_k, "solid")):
        look = {"color": REFERENCE, "width": 1, "dash": dash}
        figure.add_scatter(x=across, y=upwards, mode="lines", line=look, hoverinfo="skip", showlegend=False)
    for words, colour, symbol, members in pair.groups:
        found = zip(pair.titles[members], pair.x[members], pair.y[members], strict=True)
        figure.add_scatter(
            x=x[members],
            y=y[members],
            name=as_text(f"{words}: {int(members.sum()):,}"),
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.7},
            customdata=pair.users[members],
            text=[f"{as_text(str(title))}<br>{_rank(a)} across, {_rank(b)} upwards" for title, a, b in found],
            hovertemplate="user %{customdata}: %{text}<extra></extra>",
        )
    quiet(
        figure,
        as_text(f"Rank of each held-out {pair.nouns.item}, k = {pair.k}"),
        as_text(f"rank by {pair.across.label}"),
        legend=True,
    )
    figure.update_layout(height=HEIGHT, hovermode="closest")
    span = {"type": "log", "range": np.log10(ends).tolist(), "dtick": 1, "tickformat": ",~r"}
    figure.update_xaxes(span)
    return figure.update_yaxes(span | {"title": as_text(f"rank by {pair.upwards.label}")})


def _rank(rank: int) -> str:
    return "not in the list" if rank == NOT_LISTED else f"rank {rank:,}"


def _recommend(comparison: ShownComparison, pair: Pair) -> str:
    """The address of Recommend with those of the two models that can recommend; a user's id completes it."""
    firsts = [model.members[0] for model in (pair.across, pair.upwards, *comparison.models)]
    runs = [str(model) for model in firsts[:2] if not model.is_baseline]
    runs = runs or [str(model) for model in firsts if not model.is_baseline]
    asked = {"runs": runs, "masking": comparison.choice.masking, "recent": comparison.choice.recent}
    return f"recommend?{urlencode(asked, doseq=True)}&user="
