"""The losses compared where it can be seen: what one worked example's gradients do to repeated movies."""

from typing import TYPE_CHECKING

import streamlit as st

from recformer.ui.compare.loss_charts import mass_chart, push_chart
from recformer.ui.shared.live_chart import show_live

if TYPE_CHECKING:
    from recformer.loss.demonstration import Demonstration


def show_losses() -> None:
    """Both charts of the demonstration, with what they say in words."""
    st.markdown(
        "Eight movies, of which three were just watched and score highest. `argmax_penalty`, the article's, adds a "
        "gradient of exactly 0 and so falls together with `cross_entropy`; `soft_penalty` and `unlikelihood` push the "
        "repeats down. `masked_softmax` takes them out of training: it leaves their scores alone, so it is for lists "
        "that mask them too."
    )
    shown = _demonstration()
    left, right = st.columns(2)
    show_live(left, push_chart(shown), "losses.push")
    show_live(right, mass_chart(shown), "losses.mass")


@st.cache_data(show_spinner=False)
def _demonstration() -> "Demonstration":
    from recformer.loss.demonstration import demonstrate

    return demonstrate()
