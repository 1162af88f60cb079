"""Selections that make a view, spelt out in the URL: a pasted link shows the same thing, today and tomorrow.

Streamlit's own `bind="query-params"` leaves defaults out of the URL and writes labels instead of ids. It serves where
the default never changes and the options are their own labels; runs, models, users and datasets are picked here.
"""

from collections.abc import Callable
from typing import Any, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.data.nouns import Nouns
from recformer.evaluation.ranks import MOST_RECENT, RECENT, Masking
from recformer.ui.shared.words import explain, plain

NOTHING = ""  # what a parameter says where all of a suggestion was taken away


def pick_one(
    place: DeltaGenerator,
    label: str,
    options: list[str],
    name: str,
    *,
    key: str,
    show: Callable[[str], str] = str,
    short: bool = False,
    **more: Any,
) -> str:
    """A select box whose choice is the URL's parameter `name`; the first of `options` where the URL says nothing.

    `short`: the URL leaves that first one out, which must then always be the same.
    """
    _restore(key, name, options, options[:1], many=False)
    chosen = place.selectbox(label, options, format_func=show, key=key, **more)
    return _keep(key, name, [chosen if chosen in options else options[0]], options[:1] if short else None)[0]


def pick_many(
    label: str,
    options: list[str],
    name: str,
    *,
    key: str,
    suggested: list[str],
    show: Callable[[str], str] = str,
    read: Callable[[str], str] = str,
    short: bool = False,
    **more: Any,
) -> list[str]:
    """A multi-select whose choices are the URL's parameter `name`; `suggested` where the URL says nothing.

    `read` makes an option of what a link says, for links that people write by hand. `short`: the URL leaves out what
    is suggested, which must then always be the same; it says so where nothing at all is chosen instead.
    """
    _restore(key, name, options, suggested, many=True, read=read)
    chosen = list(st.multiselect(label, options, format_func=show, key=key, **more))
    return _keep(key, name, chosen, suggested if short else None)


def pick_text(place: DeltaGenerator, label: str, name: str, *, key: str, suggested: str, **more: Any) -> str:
    """A text box whose text is the URL's parameter `name`; `suggested` where the URL says nothing, and then it says so.

    What the text may be is for the page to say: an unknown id stays in the box, with its fault beside it.
    """
    asked = st.query_params.get(name, "")
    if key not in st.session_state or asked != st.session_state.get(f"{key}.url"):
        st.session_state[key] = asked or suggested
    text = str(place.text_input(label, key=key, **more)).strip()
    st.query_params[name] = st.session_state[f"{key}.url"] = text
    return text


def rename(old: str, new: str) -> None:
    """Read the parameter `new` from an address of an earlier version, which calls it `old`."""
    if old in st.query_params:
        value = st.query_params.pop(old)
        st.query_params.setdefault(new, value)


def name_unknown(known: set[str]) -> None:
    """Say which parameters of the address this page does not know: one mistyped would change the view in silence."""
    unknown = sorted(set(st.query_params) - known)
    if unknown:
        words = f"In this link, {plain(', '.join(unknown))} means nothing to this page; all else is shown."
        st.warning(words, icon=":material/link_off:")


def name_values_not_here(name: str, is_here: Callable[[str], bool]) -> None:
    """Say which values of a parameter cannot be, before its widget is drawn: Streamlit drops what it binds to the
    address and cannot use without a word. An empty value names nothing."""
    _name_missing(name, [value for value in _asked(name) if value and not is_here(value)])


def pick_recent(place: DeltaGenerator, nouns: Nouns) -> int:
    """How many latest items count as the window, kept in the URL; links made by earlier versions call it window."""
    for name in ("window", "recent"):
        name_values_not_here(name, _is_window)
    if (before := st.query_params.get("window")) is not None:
        if _is_window(before):
            st.session_state["recent"] = int(before)
        del st.query_params["window"]
    words = explain("recent", nouns)
    return place.number_input("Window", 1, MOST_RECENT, RECENT, key="recent", bind="query-params", help=words)


def _is_window(text: str) -> bool:
    return text.isdecimal() and 1 <= int(text[:9]) <= MOST_RECENT


def pick_masking(place: DeltaGenerator, nouns: Nouns) -> Masking:
    """What is taken out of the ranking, kept in the URL."""
    ways = ["history", "window", "none"]
    name_values_not_here("masking", ways.__contains__)
    chosen = place.segmented_control(
        "Masking",
        ways,
        default="history",
        required=True,
        key="masking",
        bind="query-params",
        help=explain("masking", nouns),
    )
    return cast("Masking", chosen or "history")  # None for an address that names nothing


def _restore(
    key: str, name: str, options: list[str], fallback: list[str], *, many: bool, read: Callable[[str], str] = str
) -> None:
    """Give the widget what the URL asks for, when the URL has changed since the widget last wrote it."""
    nothing = many and _asked(name) == [NOTHING]
    asked = [] if nothing else [read(value) for value in _asked(name)]
    if key in st.session_state and _asked(name) == st.session_state.get(f"{key}.url"):
        known = st.session_state[key] if many else [st.session_state[key]]
        if all(value in options for value in known):
            return
    there = [value for value in asked if value in options] or ([] if nothing else fallback)
    _name_missing(name, [value for value in asked if value not in options])
    st.session_state[key] = there if many else there[0]


def _name_missing(name: str, missing: list[str]) -> None:
    if missing:
        st.warning(f"Not here (any more): {plain(name)} {plain(', '.join(missing))}.", icon=":material/link_off:")


def _asked(name: str) -> list[str]:
    return st.query_params.get_all(name)


def _keep(key: str, name: str, chosen: list[str], left_out: list[str] | None = None) -> list[str]:
    """Write what was chosen into the URL, but for `left_out`, which goes without saying."""
    if chosen != left_out:
        st.query_params[name] = chosen if chosen or left_out is None else [NOTHING]
    elif name in st.query_params:
        del st.query_params[name]
    st.session_state[f"{key}.url"] = _asked(name)
    return chosen
