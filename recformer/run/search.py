"""One line of words that picks runs, as the search box of a code host does; the app and the command line share it.

    penalty -old                words that are, or with "-" are not, in the name, id, note or tags
    "λ=0.2"                     in quotes: just that text
    state:running tag:article   a state, a tag
    loss.penalty>0              a setting, by its name or the end of it: penalty>0
    ndcg@10>=0.05               a logged figure, at the run's best epoch

All terms must hold. A comparison holds for no run that lacks the value; with "-" before it, it then holds.
"""

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

from recformer.config import flat_config, text_of
from recformer.errors import UsageError
from recformer.run.overview import RunSummary
from recformer.run.state import StateName

STATES: tuple[str, ...] = get_args(StateName)
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_TERM = re.compile(r'(?:[^\s"]|"[^"]*")+')
_COMPARISON = re.compile(r'((?:[^\s"=<>!]|"[^"]*"|!(?!=))+)([=<>!]+)(.*)', re.DOTALL)
_COLON = re.compile(r"([A-Za-z_]+):(.*)", re.DOTALL)
_NEAR = 3
_SEVERAL = 10


@dataclass(frozen=True)
class Entry:
    """What can be asked of a run."""

    words: str
    """Name, id, note and tags, folded for comparison."""
    state: str
    tags: frozenset[str]
    """Folded."""
    values: Mapping[str, Any]
    """Settings by dotted key, the dataset, and figures by tag."""


def entry_of(run: RunSummary, figures: Mapping[str, float]) -> Entry:
    """`figures`: the run's best ones, by tag (logs.best.best_values)."""
    values = {**figures, **flat_config(run.config), "name": run.name}
    if dataset := dataset_name(run):
        values["dataset"] = dataset
    texts = [run.name, run.run_id, run.labels.note, *run.labels.tags]
    tags = frozenset(tag.casefold() for tag in run.labels.tags)
    return Entry("\n".join(texts).casefold(), run.state.name, tags, values)


def picked(query: str, entries: Sequence[Entry]) -> list[bool]:
    """Whether each of `entries` is what `query` asks for; all are where it is empty.

    Raises UsageError for what is no query, a state that does not exist, and a key that none of `entries` has.
    """
    terms = [_term(text) for text in _texts(query)]
    keys = list(dict.fromkeys(key for entry in entries for key in entry.values)) if terms else []
    tests = [_test(term, keys) for term in terms] if entries else []
    return [all(test(entry) != term.negated for test, term in zip(tests, terms, strict=True)) for entry in entries]


def compares(query: str) -> bool:
    """Whether `query` compares values, so that figures are needed. Raises UsageError for what is no query."""
    return any(term.comparison for term in (_term(text) for text in _texts(query)))


def dataset_name(run: RunSummary) -> str | None:
    """What the dataset is called that its best checkpoint was trained on, where that is known."""
    dataset = (run.best or {}).get("dataset")
    name = cast("dict[str, Any]", dataset).get("name") if isinstance(dataset, dict) else None
    return name if isinstance(name, str) else None


@dataclass(frozen=True)
class _Term:
    """`text` is how it was written. With a `comparison`, `key` is compared to `value`; else `key` is what is searched:
    "word", "state" or "tag"."""

    text: str
    negated: bool
    key: str
    comparison: str
    value: str


def _texts(query: str) -> list[str]:
    if query.count('"') % 2:
        raise UsageError(f'search {query.strip()!r}: a quotation mark is not closed; write "words" between two of them')
    return _TERM.findall(query)


def _term(text: str) -> _Term:
    negated = text.startswith("-") and len(text) > 1
    body = text[1:] if negated else text
    colon, comparison = _COLON.fullmatch(body), _COMPARISON.fullmatch(body)
    if colon and colon[1].casefold() in ("state", "tag"):
        return _labelled(text, negated, colon[1].casefold(), colon[2])
    if comparison:
        return _compared(text, negated, *comparison.groups())
    if colon:
        near = difflib.get_close_matches(colon[1].casefold(), ["state", "tag"], n=1)
        remedy = f"did you mean {near[0]}:{colon[2]}?" if near else "before a colon stands state or tag"
        raise UsageError(f"search {text!r}: {remedy}; for the text itself write it in quotation marks")
    if body[0] in "=<>":
        raise UsageError(f"search {text!r}: write a setting or a figure before {body[0]!r}, for example ndcg@10>0.05")
    return _Term(text, negated, "word", "", body.replace('"', ""))


def _labelled(text: str, negated: bool, kind: str, value: str) -> _Term:
    asked = _asked(text, value, f"after {kind}:")
    if kind == "state" and asked.casefold() not in STATES:
        raise UsageError(f"search {text!r}: there is no state {asked!r}; {_hint(asked.casefold(), STATES)}")
    return _Term(text, negated, kind, "", asked)


def _compared(text: str, negated: bool, key: str, comparison: str, value: str) -> _Term:
    if comparison not in COMPARISONS:
        raise UsageError(f"search {text!r}: {comparison!r} is no comparison; allowed: = != > >= < <=")
    asked = _asked(text, value, f"after {comparison}")
    if comparison not in ("=", "==", "!=") and number_of(asked) is None:
        raise UsageError(f"search {text!r}: {comparison} needs a number, this is {asked!r}; with text, use = or !=")
    return _Term(text, negated, key.replace('"', ""), comparison, asked)


def _asked(text: str, value: str, where: str) -> str:
    if not value:
        raise UsageError(f'search {text!r}: a value is missing {where} (nothing at all is "")')
    return value.replace('"', "")


def _test(term: _Term, keys: Sequence[str]) -> Callable[[Entry], bool]:
    """Whether an entry is what the term says, its "-" left aside."""
    if term.comparison:
        return _comparison(_resolved(term, keys), COMPARISONS[term.comparison], term.value)
    folded = term.value.casefold()
    if term.key == "tag":
        return lambda entry: folded in entry.tags
    if term.key == "state":
        return lambda entry: entry.state == folded
    return lambda entry: folded in entry.words


def _resolved(term: _Term, keys: Sequence[str]) -> str:
    """The one of `keys` that is meant. Raises UsageError where it is none or several."""
    asked = term.key
    folded = asked.casefold()
    # "loss" is the name of the loss, as in --set, also where some foreign log has a scalar called so.
    same = [key for key in keys if key.casefold() == f"{folded}.name"] or [key for key in keys if key == asked]
    same = same or [key for key in keys if key.casefold() == folded]
    if same:
        return same[0]
    ends = [key for key in keys if key.casefold().endswith((f".{folded}", f"/{folded}"))]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise UsageError(f"search {term.text!r}: {asked!r} may be {_listed(ends)}; write one of them")
    raise UsageError(
        f"search {term.text!r}: no run has a setting or figure {asked!r}; {_hint(asked, keys)} (what is meant as plain "
        "text goes into quotation marks)"
    )


def _hint(asked: str, known: Sequence[str]) -> str:
    """Names that come near, by their ends too; else the first few there are."""
    ends = {re.split(r"[./]", name)[-1]: name for name in reversed(known)} | {name: name for name in known}
    near = [ends[name] for name in difflib.get_close_matches(asked, list(ends), n=_NEAR)]
    return f"did you mean {' or '.join(dict.fromkeys(near))}?" if near else f"allowed: {_listed(known)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SEVERAL
    return ", ".join(names[:_SEVERAL]) + (f" and {more} more" if more > 0 else "")


def _comparison(key: str, compare: Callable[[Any, Any], bool], asked: str) -> Callable[[Entry], bool]:
    number, folded = number_of(asked), _folded(asked)

    def test(entry: Entry) -> bool:
        if key not in entry.values:
            return False
        value = entry.values[key]
        own = number_of(value)
        if own is not None and number is not None:
            return compare(own, number)
        if own is not None or number is not None:
            return compare is operator.ne
        return compare(_folded(value), folded)

    return test


def number_of(value: Any) -> int | float | None:
    """A number, or the one that a text spells; None for everything else, true and NaN among it."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) and value == value else None


def _folded(value: Any) -> str:
    return re.sub(r"\s", "", text_of(value)).casefold()


def differing(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Keys that not all of `entries` have with the same value, in the order in which they come."""
    mappings = list(entries)
    for key in dict.fromkeys(key for mapping in mappings for key in mapping):
        values = [mapping.get(key, _MISSING) for mapping in mappings]
        if any(not _same(value, values[0]) for value in values):
            yield key


_MISSING = object()


def _same(one: Any, other: Any) -> bool:
    """Whether two settings are written alike."""
    if type(one) is type(other) and isinstance(one, str | int):  # most are, and writing them out would take long
        return one == other
    return one is other or (one is not _MISSING and other is not _MISSING and text_of(one) == text_of(other))
