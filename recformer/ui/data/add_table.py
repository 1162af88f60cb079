"""From a table to a dataset: what was guessed of it, the fields that correct the guess, and what would be added."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from recformer.data.add import SHOWN_ROWS, Preview, add, preview
from recformer.data.column_words import Role
from recformer.data.guess import Guess, Said, first_rows, guess, head
from recformer.data.guess_files import row_files
from recformer.data.guess_form import form_of
from recformer.data.mapping import Attributes
from recformer.data.sources.uploads import give_up
from recformer.errors import RecformerError
from recformer.files.gate import is_folder
from recformer.files.names import run_id_from
from recformer.ui.shared import readers
from recformer.ui.shared.words import as_text, memory, message_of, plain

SOURCE = "data.source"
NONE = "(none)"
QUICK_BYTES = 20_000_000  # so much is read whole whenever a field changes; more takes a button
FORMATS = {
    "delimited": "Text with a separator (CSV, TSV)",
    "parquet": "Parquet",
    "json_lines": "JSON lines",
    "recbole": "RecBole",
    "sequences": "Sequences: a user and their items on each line",
}
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|", "::": "::", " ": "blank"}
ENCODINGS = {"utf-8": "UTF-8", "latin-1": "Latin-1"}
YES_OR_NO = {True: "Yes", False: "No"}
COMPLETE = {True: "Complete", False: "Cut off"}
UNITS = {
    "iso": "Dates (ISO 8601)",
    "dmy": "Dates, day first",
    "mdy": "Dates, month first",
    "s": "Seconds since 1970",
    "ms": "Milliseconds",
    "us": "Microseconds",
}
DUPLICATES = {"keep": "Keep all", "first": "Keep the first", "last": "Keep the last", "error": "There must be none"}
COLUMNS: dict[Role, tuple[str, str]] = {
    "user": ("User", "Who bought, watched or rated: the column of their ids."),
    "item": ("Item", "What they bought, watched or rated: the column of its ids."),
    "time": ("Time", "When. Without a column, the order of lines is the order in time."),
    "rating": ("Rating", "A number that says how much: stars, a quantity, a weight."),
    "event": ("Event", "Which kind of row it is, such as view or purchase, where there are several."),
}


@dataclass(frozen=True)
class Source:
    """What is being added."""

    path: Path
    uploaded: bool = False
    """Whether it is a folder of files that were dropped here, which the dataset then takes with it."""


def open_source(source: Source) -> None:
    """Show the way from this file or folder to a dataset, from the next redraw on."""
    st.session_state[SOURCE] = source


def is_open() -> bool:
    """Whether a table is being added."""
    return SOURCE in st.session_state


def close_source() -> None:
    """Show datasets again."""
    source: Source = st.session_state.pop(SOURCE)
    if source.uploaded:
        give_up(source.path)


def show() -> None:
    """The whole way, on one page."""
    source: Source = st.session_state[SOURCE]
    what = ", ".join(file.name for file in row_files(source.path)) if source.uploaded else str(source.path)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"#### Add {plain(what)}")
        if st.button("Cancel", key="adding.cancel", icon=":material/close:"):
            close_source()
            st.rerun()
    fields = _Fields(source)
    try:
        guessed = fields.show()
    except RecformerError as error:
        _show_error(source, error)
        return
    seen = _seen(source, guessed)
    if seen is not None:
        _show_what_it_becomes(seen)
    _add(source, guessed, fields.name)


class _Fields:
    """The fields of one source; what they say is kept until it is added or given up."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.files = row_files(source.path if is_folder(source.path) else source.path.parent)
        self.stem = self.files[0].stem if source.uploaded and self.files else source.path.stem
        self.name = ""
        self.said = Said()

    def show(self) -> Guess:
        """The fields, and what they and the guess make together. Raises RecformerError where that is nothing."""
        path = self._interactions()
        self.said = self._form()
        _, _, rows = head(path, self.said, [])
        _show_rows(rows)
        self.said = self._columns(path, list(rows), self._key(path, asdict(self.said)))
        guessed = _without_none(guess(path, self.said), self)
        with st.expander("What was guessed, and why", icon=":material/lightbulb:"):
            st.markdown("\n".join(f"- {plain(reason)}" for reason in guessed.reasons) or "Nothing.")
        return guessed

    def chosen(self, key: str) -> Any:
        """What a field says; None where it has said nothing yet."""
        return st.session_state.get(self._key(key))

    def _key(self, *parts: object) -> str:
        """The key of a field: another for another source, and for what else its meaning depends on."""
        digest = hashlib.sha256(repr((self.source, *parts)).encode()).hexdigest()[:16]
        return f"add.{digest}"

    def _select(
        self, label: str, options: Sequence[Any], key: str, show: Callable[[Any], str] = str, **more: Any
    ) -> Any:
        return st.selectbox(label, options, format_func=show, key=key, persist_state="session", **more)

    def _interactions(self) -> Path:
        """The file of interactions, or the folder of which the names tell it."""
        if not is_folder(self.source.path) or len(self.files) < 2:
            return self.files[0] if is_folder(self.source.path) and self.files else self.source.path
        options = [self.source.path, *self.files]
        return self._select(
            "File of interactions",
            options,
            self._key("interactions"),
            lambda path: "As their names tell" if path == self.source.path else path.name,
            help="The file with a line for each purchase, view or rating.",
        )

    def _form(self) -> Said:
        """How the file is written, as far as people say it."""
        with st.expander("How the file is written", icon=":material/description:"), st.container(horizontal=True):
            said: dict[str, Any] = {
                name: self._select(
                    label, [None, *words], self._key(name), _words_or(words, "As guessed"), width=220, help=help_text
                )
                for name, label, words, help_text in (
                    ("format", "Format", FORMATS, None),
                    ("separator", "Separator", SEPARATORS, "What stands between two fields."),
                    ("encoding", "Encoding", ENCODINGS, None),
                    ("header", "Header", YES_OR_NO, "Whether the first line names the columns."),
                    ("quotes", "Quotes", YES_OR_NO, 'Whether a field may stand in ".'),
                    ("complete", "Last line", COMPLETE, "Where it has no line break: is it whole, or cut off?"),
                )
            }
        return Said(**said)

    def _columns(self, path: Path, columns: list[str], form: str) -> Said:
        """Columns, filters and tables; `form` tells files apart whose columns are others."""
        guessed = self._guessed(path, self._said_columns(form))
        with st.container(horizontal=True):
            for role in COLUMNS:
                self._column(role, columns, form, guessed)
            self._unit(form, guessed)
        self.said = self._said_columns(form)
        self._tables(path, guessed)
        self._filters()
        with st.container(horizontal=True):
            noun = st.text_input(
                "An item is called",
                key=self._key("noun"),
                placeholder="item",
                max_chars=40,
                persist_state="session",
                width=220,
                help="product, track, article: the word that pages use.",
            )
            self.name = st.text_input(
                "Name of the dataset",
                value=run_id_from(self.stem),
                key=self._key("name"),
                persist_state="session",
                width=320,
            ).strip()
        return replace(self.said, noun=noun.strip() or None)

    def _guessed(self, path: Path, said: Said) -> Guess | None:
        """The guess with what people said so far; None where they are to say more."""
        try:
            return guess(path, said)
        except RecformerError:
            return None

    def _said_columns(self, form: str) -> Said:
        chosen = {role: self.chosen(f"{role}{form}") for role in COLUMNS}
        named = {role: value for role, value in chosen.items() if value != NONE}
        time = named.get("time")
        unit = self.chosen(f"unit{form}{time}") if time else None
        return replace(self.said, **named, has_no_time=chosen["time"] == NONE, time_unit=unit)

    def _column(self, role: Role, columns: list[str], form: str, guessed: Guess | None) -> None:
        key, (label, help_text) = self._key(f"{role}{form}"), COLUMNS[role]
        needed = role in ("user", "item")
        if st.session_state.get(key) is None and guessed is not None:
            st.session_state[key] = getattr(guessed.mapping, role) or (None if needed else NONE)
        options = columns if needed else [NONE, *columns]
        self._select(label, options, key, index=None, placeholder="Choose", width=180, help=help_text)

    def _unit(self, form: str, guessed: Guess | None) -> None:
        time = self.chosen(f"time{form}")
        if time in (None, NONE):
            return
        key = self._key(f"unit{form}{time}")
        if st.session_state.get(key) is None and guessed is not None and guessed.mapping.time == time:
            st.session_state[key] = guessed.mapping.time_unit
        self._select("Unit of time", list(UNITS), key, UNITS.__getitem__, index=None, placeholder="Choose", width=180)

    def _tables(self, path: Path, guessed: Guess | None) -> None:
        """The tables of items and of users, and their columns."""
        others = [file for file in self.files if file != path]
        if not others:
            return
        for role in ("item", "user"):
            found = getattr(guessed.mapping, f"{role}s") if guessed is not None else None
            key = self._key(f"{role}s")
            if st.session_state.get(key) is None and guessed is not None:
                st.session_state[key] = guessed.paths[found.file] if found else NONE
            with st.container(horizontal=True):
                table = self._select(
                    f"Table of {role}s",
                    [NONE, *others],
                    key,
                    lambda file: file if file == NONE else file.name,
                    width=220,
                    help=f"A file with a line for each {role}: titles, categories, anything.",
                )
                if table not in (None, NONE):
                    self._table(path, role, table)

    def _table(self, path: Path, role: str, table: Path) -> None:
        columns = list(first_rows(table, form_of(table, {}, [])))
        guessed = self._guessed(path, replace(self.said, **{f"{role}s": table}))
        known: Attributes | None = getattr(guessed.mapping, f"{role}s") if guessed is not None else None
        key = self._key(f"{role}s.id{table}")
        if st.session_state.get(key) is None and known is not None:
            st.session_state[key] = known.id
        chosen = self._select("Its column of ids", columns, key, index=None, placeholder="Choose", width=180)
        self.said = replace(self.said, **{f"{role}s": table, f"{role}_id": chosen})
        if role == "item":
            key = self._key(f"title{table}")
            if st.session_state.get(key) is None and known is not None:
                st.session_state[key] = known.title or NONE
            title = self._select(
                "Its column of titles", [NONE, *columns], key, index=None, placeholder="Choose", width=180
            )
            self.said = replace(self.said, title=None if title == NONE else title)

    def _filters(self) -> None:
        """What is left out, each counted below before it is."""
        with st.container(horizontal=True):
            duplicates = self._select(
                "Repeated rows",
                list(DUPLICATES),
                self._key("duplicates"),
                DUPLICATES.__getitem__,
                width=180,
                help="Rows that repeat user, item and time of another.",
            )
            lowest, events = None, list[str]()
            if self.said.rating is not None:
                lowest = st.number_input(
                    "Lowest rating",
                    value=None,
                    key=self._key("lowest"),
                    persist_state="session",
                    placeholder="any",
                    width=140,
                    help="What is rated lower is left out.",
                )
            if self.said.event is not None:
                events = st.multiselect(
                    "Events that count",
                    list[str](),
                    key=self._key("events"),
                    persist_state="session",
                    accept_new_options=True,
                    placeholder="all",
                    width=260,
                    help="Type the name of one, such as purchase, and press Enter.",
                )
            least = {
                role: st.number_input(
                    f"Least per {role.split()[1]}",
                    min_value=0,
                    key=self._key(f"least.{role}"),
                    persist_state="session",
                    width=140,
                    help=f"Interactions that {role} must have, counted anew until all have them (k-core).",
                )
                for role in ("a user", "an item")
            }
        self.said = replace(
            self.said,
            duplicates=duplicates,
            min_rating=lowest,
            events=tuple(events),
            min_user=least["a user"],
            min_item=least["an item"],
        )


def _words_or(words: dict[Any, str], otherwise: str) -> Callable[[Any], str]:
    return lambda value: words.get(value, otherwise)


def _without_none(guessed: Guess, fields: _Fields) -> Guess:
    """The guess without what people said there is none of."""
    mapping, said = guessed.mapping, fields.said
    away: dict[str, Any] = {role: None for role in ("rating", "event") if getattr(said, role) is None}
    away |= {table: None for table in ("items", "users") if fields.chosen(table) == NONE}
    if mapping.items is not None and "items" not in away and said.items is not None:
        away["items"] = replace(mapping.items, title=said.title)
    mapping = replace(mapping, **away)
    return Guess(mapping, {name: guessed.paths[name] for name in mapping.all_files()}, guessed.reasons)


def _show_rows(rows: dict[str, list[Any]]) -> None:
    """The first rows of the file of interactions."""
    shown = {name: [as_text(str(value)) for value in values[:SHOWN_ROWS]] for name, values in rows.items()}
    st.dataframe(pd.DataFrame(shown), key="adding.rows", hide_index=True, height=180)


def _seen(source: Source, guessed: Guess) -> Preview | None:
    """What would be added; of large files only once it was asked for."""
    size = sum(path.stat().st_size for path in guessed.paths.values())
    asked = repr((source, guessed.mapping))
    if size > QUICK_BYTES and st.session_state.get("adding.asked") != asked:
        if not st.button(
            "Count what is left out", key="adding.count", icon=":material/calculate:", help=f"Reads {memory(size)}."
        ):
            return None
        st.session_state["adding.asked"] = asked
    place = st.empty()
    try:
        return preview(guessed, readers.root().data / ".cache", _bar(place) if size > QUICK_BYTES else None)
    except RecformerError as error:
        _show_error(source, error)
        return None
    finally:
        place.empty()


def _bar(place: DeltaGenerator) -> Callable[[int, int], None]:
    bar = place.progress(0.0, text="Reading …")

    def show(done: int, total: int) -> None:
        words = f"Read {memory(done)} of {memory(total)}" if done < total else "Sorting …"
        bar.progress(min(done / total, 1.0) if total else 1.0, text=words)

    return show


def _show_what_it_becomes(seen: Preview) -> None:
    report = seen.dataset.report
    nouns, span = seen.dataset.nouns, report.span()
    items = plain(nouns.count(report.items))
    st.markdown(
        f"**{report.interactions:,} interactions** of {report.users:,} users with {items}"
        + (f", {span}." if span else ".")
    )
    lines = [f"Left out: {reason}." for reason in report.left_out()] or ["Nothing is left out."]
    st.markdown("\n".join(f"- {plain(line)}" for line in [*lines, *(f"{note}." for note in report.notes())]))
    for user, items in seen.histories.items():
        st.caption(f"User {plain(user)}: {' → '.join(map(plain, items))}")


def _add(source: Source, guessed: Guess, name: str) -> None:
    if not st.button("Add", key="adding.add", type="primary", icon=":material/add:"):
        return
    try:
        folder = add(guessed, name, readers.root().data, _bar(st.empty()), move=source.uploaded)
    except RecformerError as error:
        _show_error(source, error)
        return
    close_source()
    st.query_params["data"] = folder.name
    st.rerun()


def _show_error(source: Source, error: RecformerError) -> None:
    """An error; of dropped files their names alone, since nobody knows where they are kept."""
    words = message_of(error)
    if source.uploaded:
        words = words.replace(plain(f"{source.path}/"), "").replace(plain(str(source.path)), "What was dropped")
    st.error(words, icon=":material/error:")
