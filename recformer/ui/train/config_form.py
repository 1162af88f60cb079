"""A form made of the configuration's own fields: a widget for each, its help text, its limits, its faults below it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from recformer.config import (
    OF_EVERY_MODEL,
    SECTIONS,
    Options,
    TrainConfig,
    describe_limits,
    parse,
    trained_in_steps,
)
from recformer.errors import ConfigError
from recformer.ui.shared.frame import in_columns
from recformer.ui.shared.words import plain

ROWS = [["Run", "Data", "Loss"], ["Model"], ["Training"], ["Machine"]]
SECTION_GROUP = {"model": "Model", "loss": "Loss", "split": "Data"}
_Field = tuple[str, FieldInfo, Any]
"""Dotted path, description and value to begin with."""


def config_form(
    start: TrainConfig,
    key: str,
    locked: tuple[str, ...] = (),
    splits: Sequence[str] | None = None,
    models: Mapping[str, str] | None = None,
) -> TrainConfig | None:
    """Widgets for every field, beginning with the values of `start`; the configuration they say, None when faulty.

    `key` separates the widgets' state (one form a preset); `locked` sections and fields are shown, below the others,
    but cannot be changed; `splits` are those that the dataset can have, where that is known; `models` are what a blend
    can be made of, with their names for people.
    Faults are shown at their fields.
    """
    form = _Form(start, key, locked, splits, models or {})
    for row in sorted(ROWS, key=lambda row: all(form.is_locked(group) for group in row)):
        for place, group in zip(st.columns(len(row)), row, strict=True):
            with place:
                form.show(group, columns=1 if len(row) > 1 else 3)
    try:
        return parse(form.values, "form")
    except ConfigError as error:
        for fault in error.faults:
            form.show_fault(fault)
        return None


class _Form:
    def __init__(
        self,
        start: TrainConfig,
        key: str,
        locked: tuple[str, ...],
        splits: Sequence[str] | None,
        models: Mapping[str, str],
    ) -> None:
        self.values: dict[str, Any] = {}
        self._models = models
        chosen = str(st.session_state.get(f"{key}.model", start.model.name))
        self._in_steps = trained_in_steps(chosen)
        self._start, self._key, self._locked, self._splits = start, key, locked, splits
        self._slots: dict[str, DeltaGenerator] = {}  # where the faults of a field are shown

    def show(self, group: str, columns: int) -> None:
        """The fields of one group, so many side by side, the advanced ones folded; nothing where none applies."""
        if not (self._fields(group) or self._sections(group)):
            return
        with st.container(border=True):
            st.markdown(f"**{group}**")
            fields = self._fields(group)
            for section in self._sections(group):
                options = self._choose(section)
                self.values[section] = {"name": options.name}
                fields += [
                    (f"{section}.{name}", field, getattr(options, name))
                    for name, field in type(options).model_fields.items()
                    if name != "name" and _extra(field, "shown") != "never"
                ]
            advanced = [entry for entry in fields if _extra(entry[1], "advanced")]
            self._grid([entry for entry in fields if entry not in advanced], columns)
            if advanced:
                with st.expander("Advanced", type="compact"):
                    self._grid(advanced, columns)
                below = st.container()  # a fault must be seen though its field is folded
                self._slots |= {path: below for path, _, _ in advanced}

    def _pick_models(self, path: str, field: FieldInfo, value: Any) -> list[str]:
        return st.multiselect(
            str(field.title),
            [*self._models, *(name for name in value if name not in self._models)],
            default=list(value),
            format_func=lambda name: self._models.get(name, name),
            help=field.description,
            key=f"{self._key}.{path}",
            disabled="model" in self._locked,
        )

    def is_locked(self, group: str) -> bool:
        """Whether nothing of a group can be changed."""
        names = [*(path for path, _, _ in self._fields(group)), *self._sections(group)]
        return all(name in self._locked for name in names)

    def show_fault(self, fault: str) -> None:
        """At the field that it names, or below the whole form."""
        path = fault.split(" = ")[0].split(":")[0]
        named = [slot for slot in self._slots if slot == path or path.startswith(f"{slot}.")]
        named = named or [slot for slot in self._slots if slot.split(".")[-1] in fault and slot.startswith(path)]
        place = self._slots[named[0]] if named else st.empty()
        place.error(plain(fault), icon=":material/error:")

    def _fields(self, group: str) -> list[_Field]:
        return [
            (name, field, getattr(self._start, name))
            for name, field in TrainConfig.model_fields.items()
            if name not in SECTIONS and _extra(field, "group") == group and (self._in_steps or name in OF_EVERY_MODEL)
        ]

    def _sections(self, group: str) -> list[str]:
        return [
            section
            for section, home in SECTION_GROUP.items()
            if home == group and (self._in_steps or section in OF_EVERY_MODEL)
        ]

    def _choose(self, section: str) -> Options:
        """The options to begin with of the component chosen: the start's own where it is the same one, else that
        component's defaults."""
        registry, current = SECTIONS[section], getattr(self._start, section)
        field, names = TrainConfig.model_fields[section], registry.names()
        if section == "split" and self._splits is not None:
            names = [name for name in names if name in self._splits or name == current.name]
        if section == "model" and len(names) == 1:
            return current
        chosen = st.selectbox(
            str(field.title),
            names,
            index=names.index(current.name),
            help=field.description,
            key=f"{self._key}.{section}",
            disabled=section in self._locked,
        )
        return current if chosen == current.name else registry.get(chosen).Options()

    def _grid(self, fields: list[_Field], columns: int) -> None:
        for column, (path, field, value) in in_columns(fields, columns):
            section, dot, name = path.partition(".")
            with column:
                if _extra(field, "shown") == "as models":
                    entered = self._pick_models(path, field, value)
                else:
                    entered = _widget(path, field, value, f"{self._key}.{path}", section in self._locked)
                self._slots[path] = st.empty()
            (self.values[section] if dot else self.values)[name or path] = entered


def _widget(path: str, field: FieldInfo, value: Any, key: str, disabled: bool) -> Any:
    label, limits = str(field.title or path), describe_limits(field)
    allowed = f"\n\nAllowed: {limits}." if limits else ""
    common: dict[str, Any] = {"key": key, "help": f"{field.description}{allowed}", "disabled": disabled}
    if get_origin(field.annotation) is Literal:
        choices = list(get_args(field.annotation))
        return st.selectbox(label, choices, index=choices.index(value), **common)
    if field.annotation is bool:
        return st.toggle(label, value=value, **common)
    if field.annotation is int:
        return st.number_input(label, value=int(value), step=1, **common)
    if field.annotation is str:
        return st.text_input(label, value=value, **common)
    if get_origin(field.annotation) is tuple:
        text = st.text_input(label, value=", ".join(str(part) for part in value), **common)
        return [part.strip() for part in str(text).split(",")] if str(text).strip() else []
    # Numbers as text: a step of 0.01 would round a learning rate of 5e-4 away.
    return st.text_input(label, value=f"{value:g}", **common)


def _extra(field: FieldInfo, name: str) -> Any:
    extra = field.json_schema_extra
    return extra.get(name) if isinstance(extra, dict) else None
