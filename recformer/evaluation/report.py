"""Comparison results as text: aligned table, Markdown, CSV or LaTeX."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from recformer.errors import count

if TYPE_CHECKING:
    import pandas as pd

    from recformer.evaluation.compare import Comparison
    from recformer.evaluation.protocol import Protocol
    from recformer.evaluation.ranks import Masking
    from recformer.evaluation.split_facts import SplitFacts

Format = Literal["table", "markdown", "csv", "latex", "json"]
Rows = Sequence[dict[str, Any]]
BY_WORD = "0, by the word of who imported it"
UNKNOWN_DATA = "unknown: only its sizes fit"
TESTS = [
    *("low", "high", "p", "p_adjusted", "correction", "at_floor", "about", "effect_size", "family", "comparisons"),
    *("detectable", "verdict", "equivalent"),
]
"""What files hold of a difference beside its mean."""
MARKS = "* p < .05, ** p < .01, *** p < .001; † p < .05 where a model has one seed: another may differ"
TO_BEST = "differences to the best model that counts are exploratory: the same data chose it"
BOOKTABS = (r"\resizebox{\linewidth}{!}{%", "}", r"\toprule", r"\midrule", r"\bottomrule")
_LATEX = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "|": r"\textbar{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "−": "$-$",
    "·": r"$\cdot$",
    "Δ": r"$\Delta$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "λ": r"$\lambda$",
}


def stars(difference: dict[str, Any]) -> str:
    """What a difference counts for: *** for p below .001, ** below .01, * below .05 after correction, where it is about
    recipes; † for one below .05 between two models of which another seed may differ; else nothing."""
    marks = "*" * sum(difference.get("p_adjusted", 1.0) < level for level in (0.05, 0.01, 0.001))
    return "†" if marks and difference["about"] == "models" else marks


def render(
    comparison: "Comparison",
    cutoffs: list[int],
    kind: Format,
    masking: "Masking",
    slices: Rows | None = None,
    metrics: str | None = None,
) -> str:
    """A comparison as text; `metrics` names those that tables and CSV hold, all where None.

    A table shows everything under `masking` but duplication, which is read with nothing masked; JSON and CSV hold every
    result. `slices` (see `Comparison.slices`) stand below a table and in JSON; CSV and LaTeX hold one table.
    """
    from recformer.evaluation.conclusion import elsewhere
    from recformer.evaluation.table import (  # `runs`, which knows the formats, is quick
        catalogue_names,
        metric_names,
        named,
    )

    several = comparison.reference is not None and len(comparison.evaluations) > 1
    decides = [] if comparison.reference is None else [comparison.question.k]
    comparison.require_known(masking, [*cutoffs, *decides])
    if kind == "json":
        summary = comparison.summary(cutoffs)
        if several:
            said = comparison.answer([one for one in summary["results"] if one["masking"] == masking]).sentences
            summary["conclusion"] = {"masking": masking, "sentences": said}
        return json.dumps(summary | ({} if slices is None else {"slices": slices}), indent=2)
    if kind == "csv":
        table = _figures(comparison, cutoffs)
        kept = named(list(dict.fromkeys(table["metric"])), metrics)
        return as_csv(table.loc[table["metric"].isin(kept)]).rstrip("\n")
    categories = comparison.evaluations[0].categories
    of_cases = metric_names(cutoffs, comparison.protocol.time_ties, categories)
    names = named([*of_cases, *catalogue_names(cutoffs)], metrics)
    primary = None if comparison.reference is None else comparison.question.primary
    if primary is not None:  # the answer first
        names = list(dict.fromkeys([primary, *names]))
    results = comparison.results(masking, names)
    titles = comparison.labels
    sentences = comparison.answer(results).sentences if several else []
    table, caption = _table(comparison, results, primary), _caption(comparison, results, masking)
    facts = [f"The split: {split_in_words(comparison.evaluations[0].split_facts)}"]
    told = bool(sentences) and comparison.protocol.part == "test"  # by the last sentence
    facts += [] if several else [words for words in [elsewhere(titles, results)] if words]
    facts += [] if comparison.looks is None or told else [f"Looks at the test: {looks_in_words(comparison.looks)}"]
    if kind == "latex":
        return _ruled(table, " ".join([*sentences, caption, *facts]))
    write = as_markdown if kind == "markdown" else _aligned
    text = "\n".join([*sentences, "", caption, *facts] if sentences else [caption, *facts])
    metrics_of_slices = dict.fromkeys(entry["metric"] for entry in slices or ())
    below = [
        _slice_table([entry for entry in slices or () if entry["metric"] == name], titles) for name in metrics_of_slices
    ]
    return "\n\n".join([write(table), text, *map(write, below)])


def render_article(rows: Rows, explanations: dict[str, str], kind: Format) -> str:
    """The rows of `evaluation.article.article_rows`, each difference explained below."""
    import pandas as pd

    table = pd.DataFrame(
        {"recipe": row["recipe"], "figures": row["way"]}
        | {name: _article_cell(metric) for name, metric in row["metrics"].items()}
        | {"how": f"{row['dataset']}, {row['protocol']}" + (f" ({row['run']})" if row["run"] else "")}
        for row in rows
    )
    words = "\n".join(f"{what}: {why}" for what, why in explanations.items())
    if kind == "json":
        return json.dumps({"article": rows, "explanations": explanations}, indent=2)
    if kind == "csv":
        return as_csv(table).rstrip("\n")
    if kind == "latex":
        return _ruled(table, words)
    return f"{as_markdown(table) if kind == 'markdown' else _aligned(table)}\n\n{words}"


def _article_cell(metric: dict[str, Any]) -> str:
    if metric["low"] is None:
        return f"{metric['mean']:.4f}"
    return f"{metric['mean']:.4f} ±{(metric['high'] - metric['low']) / 2:.4f}"


def _interval(metric: dict[str, Any]) -> str:
    if metric["low"] is None:  # of a single user, or of lists as a whole
        return f"{metric['mean']:.4f}"
    return f"{metric['mean']:.4f} [{metric['low']:.4f}, {metric['high']:.4f}]"


def at_floor_in_words(difference: dict[str, Any]) -> str:
    """A p-value that could be no lower: "p ≤ 0.00001 (as low as 100,000 random signs can show)"; "" of all others."""
    if not difference.get("at_floor"):
        return ""
    lowest = difference["p_adjusted"]
    bound = f"{math.ceil(lowest * 1e5) / 1e5:.5f}".rstrip("0")
    return f"p ≤ {bound} (as low as {round(1 / lowest - 1):,} random signs can show)"


def corrections(results: Rows, title: str) -> str:
    """How the stars of these results are corrected, in words, and how many p-values could be no lower; `title` is the
    primary metric's. "" without any."""
    from recformer.evaluation.significance import kind_of  # `runs`, which knows the formats, is quick

    tested = {
        (entry["family"] if entry["family"] == "primary" else kind_of(name)): entry
        for result in results
        for name, metric in result["metrics"].items()
        if "family" in (entry := metric.get("difference", {}))
    }
    parts: list[str] = []
    if (primary := tested.pop("primary", None)) is not None:
        number = primary["comparisons"]
        over = f"{primary['correction']} over its {number} differences" if number > 1 else "one difference"
        parts.append(f"{title} is primary: {over}")
    if tested:
        over = ", ".join(f"{kind} {entry['correction']} over {entry['comparisons']}" for kind, entry in tested.items())
        parts.append(f"all else is exploratory, corrected by kind over all of it, shown or not: {over} differences")
    shown = [metric.get("difference", {}) for result in results for metric in result["metrics"].values()]
    lowest = [words for entry in shown if (words := at_floor_in_words(entry))]
    parts += [f"{len(lowest)} with {lowest[0]}"] if lowest else []
    return f"{'; '.join(parts)} ({MARKS})" if parts else ""


def _caption(comparison: "Comparison", results: Rows, masking: "Masking") -> str:
    """The protocol in one line, as it stands below every table."""
    from recformer.evaluation.conclusion import ONE_USER

    protocol = comparison.protocol
    corrected = corrections(results, comparison.question.title)
    tests = f" · {question_in_words(comparison)}; {corrected}; {TO_BEST}" if corrected else ""
    how = f"score intervals of means of ranks, else bootstrap, seed {protocol.bootstrap_seed}"
    intervals = f"95% intervals over users ({how}; of users and seeds where several were compared)"
    intervals = ONE_USER if results[0]["users"] == 1 else intervals
    return f"{protocol_in_words(protocol, masking)} · {intervals}{tests}"


def protocol_in_words(protocol: "Protocol", masking: "Masking") -> str:
    """What cases were evaluated and how they were ranked."""
    skipped = f" · {count(protocol.skipped_users, 'user')} with too short a history" if protocol.skipped_users else ""
    return (
        f"{protocol.dataset} ({protocol.fingerprint}) · {split_name(protocol)} · {protocol.part} · "
        f"{count(protocol.cases, 'case')}{skipped}{sample_in_words(protocol)} · ranked among all {protocol.item_set} · "
        f"masking: {masking} (duplication: none) · ties in score count against the model · {ties_in_time(protocol)} · "
        f"window of {protocol.recent}"
    )


def question_in_words(comparison: "Comparison") -> str:
    """To which model differences are taken, by which metric they decide, and how large they must be to matter."""
    question, reference = comparison.question, comparison.labels[comparison.reference or 0]
    margin = "no margin" if question.margin is None else f"margin ±{question.margin:g}"
    return f"Δ paired difference to {reference}; {question.title} decides, {margin}"


def split_name(protocol: "Protocol") -> str:
    """A split with its options: "random_windows (split_seed=0, size=5)"."""
    options = options_in_words(protocol)
    return f"{protocol.split['name']} ({options})" if options else protocol.split["name"]


def options_in_words(protocol: "Protocol") -> str:
    """The options of a split, as `--split-set` takes them; "" without any."""
    return ", ".join(f"{name}={value}" for name, value in protocol.split.items() if name != "name")


def sample_in_words(protocol: "Protocol") -> str:
    """ " · a sample of 1,000 users (seed 0)"; "" where everybody is evaluated."""
    sample = protocol.sample
    return "" if sample is None else f" · a sample of {count(sample['users'], 'user')} (seed {sample['seed']})"


def ties_in_time(protocol: "Protocol") -> str:
    """How ties in time are broken, and how many targets are tied, in words."""
    words = {
        "file": "ties in time go by the order of lines",
        "hash": "ties in time go by a hash",
        "as_set": "all that is tied in time with the target is looked for together",
    }[protocol.time_ties]
    share = protocol.time_tied
    return words if share is None else f"{words} ({100 * share:.0f}% of targets are tied)"


def split_in_words(facts: "SplitFacts | None") -> str:
    """What makes a split easier or harder than it looks."""
    return "" if facts is None else " ".join(facts.sentences()) or "nothing unusual"


def looks_in_words(looks: int) -> str:
    """How often a dataset's test was looked at."""
    return f"{count(looks, 'checkpoint')} so far, of this dataset"


def settings_in_words(settings: dict[str, float]) -> str:
    """Settings of a baseline as people write them: "latest 10, decay 0.8", "all items". "" without any."""
    return ", ".join(
        "all items" if (name, value) == ("latest", 0) else f"{name} {value:g}" for name, value in settings.items()
    )


def _table(comparison: "Comparison", results: Rows, primary: str | None) -> "pd.DataFrame":
    """One column a model, one row a metric: runs are few, metrics many."""
    import pandas as pd

    runs = [", ".join(map(str, group)) for group in comparison.members]

    rows = [
        [f"{name} (primary)" if name == primary else name, *(_cell(result["metrics"][name]) for result in results)]
        for name in results[0]["metrics"]
    ]
    if primary is not None and any("to_best" in result["metrics"][primary] for result in results):
        rows.append([f"{primary} to the best", *(to_best(result["metrics"][primary]) for result in results)])
    rows.append(["cases trained on", *(_trained(result) for result in results)])
    if any(result["validated_on"] != 0 for result in results):
        rows.append(
            ["cases validated on", *(_validated(result["validated_on"], result["cases"]) for result in results)]
        )
    if any(result["settings"] for result in results):
        rows.append(["chosen on validation", *(settings_in_words(result["settings"]) or "–" for result in results)])
    if not all(result["data_known"] for result in results):
        rows.append(["trained on this data", *("yes" if row["data_known"] else UNKNOWN_DATA for row in results)])
    return pd.DataFrame([*rows, ["models", *runs]], columns=["", *comparison.labels])


def to_best(metric: dict[str, Any]) -> str:
    """A primary metric's difference to the best model with its interval; a dash for the best itself."""
    if "to_best" not in metric:
        return "–"
    difference = metric["to_best"]
    if difference["low"] is None:
        return f"{difference['mean']:+.4f}".replace("-", "−")
    return f"{difference['mean']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]".replace("-", "−")


def _slice_table(slices: Rows, titles: list[str]) -> "pd.DataFrame":
    """One row a slice, one column a model; what is said of few cases is marked."""
    import pandas as pd

    rows = [
        [
            f"{entry['dimension']}: {entry['label']}",
            f"{entry['cases']}{' (few)' if entry['few'] else ''}",
            *map(_interval, entry["models"]),
        ]
        for entry in slices
    ]
    return pd.DataFrame(rows, columns=[slices[0]["metric"], "cases", *titles])


def as_markdown(table: "pd.DataFrame", first: str = "---", others: str = "---") -> str:
    """A table of text as Markdown; `first` and `others` are the rules below the headers of columns."""
    rules = [first, *[others] * (len(table.columns) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(table.columns), rules, *table.to_numpy().tolist()])


def as_latex(table: "pd.DataFrame", caption: str, frame: tuple[str, ...]) -> str:
    """A table of LaTeX's own text within `frame`: before and after the tabular, and the three rules."""
    head, *lines = [" & ".join(row) + r" \\" for row in [list(table.columns), *table.to_numpy().tolist()]]
    before, after, top, middle, bottom = frame
    columns = "l" + "r" * (len(table.columns) - 1)
    begin = [r"\begin{table}", r"\centering", *before.split(), rf"\begin{{tabular}}{{{columns}}}", top, head, middle]
    return "\n".join([*begin, *lines, bottom, rf"\end{{tabular}}{after}", rf"\caption{{{caption}}}", r"\end{table}"])


def _ruled(table: "pd.DataFrame", caption: str) -> str:
    escaped = table.map(escape_latex).rename(columns=escape_latex)
    return as_latex(escaped, escape_latex(caption), ("", "", r"\hline", r"\hline", r"\hline"))


def as_csv(table: "pd.DataFrame") -> str:
    """A table of any values, each as Python writes it; None is empty."""
    return table.to_csv(index=False, lineterminator="\n")


def _aligned(table: "pd.DataFrame") -> str:
    rows = [list(table.columns), *table.to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _trained(result: dict[str, Any]) -> str:
    if result["lists"]:
        return BY_WORD
    if (count := result["trained_on"]) is None:
        return "unknown: probably leaks"
    return f"{count} of {result['cases']}: LEAKS, the figures flatter it" if count else "0"


def _validated(count: int | None, cases: int) -> str:
    if count is None:
        return "unknown"
    return f"{count} of {cases}: they chose its checkpoint or settings" if count else "0"


def _cell(metric: dict[str, Any]) -> str:
    text = _interval(metric)
    if "seeds" in metric:
        text += f" seeds {metric['seeds']['low']:.4f} to {metric['seeds']['high']:.4f}"
    if "difference" in metric:
        difference = metric["difference"]
        text += f" Δ {difference['mean']:+.4f}"
        if "p" in difference:
            if difference["low"] is not None:
                text += f" [{difference['low']:+.4f}, {difference['high']:+.4f}]"
            text += stars(difference)
            if not stars(difference) and difference["detectable"] is not None:
                text += f" detectable {difference['detectable']:.4f}"
    return text


def facts_of(comparison: "Comparison") -> dict[str, Any]:
    """The protocol and the question, flat, as each row of a file says them, so that files can be put together."""
    protocol, reference = comparison.protocol, comparison.reference
    facts = {name: getattr(protocol, name) for name in ("dataset", "fingerprint", "time_ties", "part", "cases")}
    facts |= {"split": protocol.split["name"], "split_options": options_in_words(protocol)}
    facts |= {f"sampled_{name}": (protocol.sample or {}).get(name) for name in ("users", "seed")}
    facts |= {"recent": protocol.recent, "item_set": protocol.item_set, "looks_at_test": comparison.looks}
    facts["reference"] = None if reference is None else str(comparison.members[reference][0])
    return facts | {"primary": comparison.question.primary, "margin": comparison.question.margin}


def _figures(comparison: "Comparison", cutoffs: list[int]) -> "pd.DataFrame":
    """Every result, one row a quantity, each with its facts."""
    import pandas as pd

    setting = facts_of(comparison)
    about = ("model", "run", "checkpoint", "masking", "trained_on", "validated_on", "counts", "lists", "seeds")
    rows: list[dict[str, Any]] = []
    for result in comparison.summary(cutoffs)["results"]:
        head = {key: "unknown" if result[key] is None else result[key] for key in about}
        head["lists"] = result["lists"] or ""
        head["settings"] = settings_in_words(result["settings"])
        of_lists = {
            name: {"mean": entry["value"], "difference": {"mean": entry.get("difference")}}
            for name, entry in result["catalogue"].items()
        }
        for name, metric in (result["metrics"] | of_lists).items():
            rows.append(head | {"metric": name} | figures_of(metric) | setting)
    return pd.DataFrame(rows, dtype=object)


def figures_of(metric: dict[str, Any]) -> dict[str, Any]:
    """One quantity of a result, flat, as files tell it: its mean, its interval, all of its difference, and that to the
    best model."""
    difference = metric.get("difference", {})
    figures = {key: metric.get(key) for key in ("mean", "low", "high")}
    figures |= {"seed_sd": metric.get("seeds", {}).get("sd"), "difference": difference.get("mean")}
    to_best = {f"to_best_{name}": metric.get("to_best", {}).get(name) for name in ("of", "mean", "low", "high")}
    return figures | {f"difference_{name}": difference.get(name) for name in TESTS} | to_best


def escape_latex(text: str) -> str:
    """Text as LaTeX prints it: what it would take for commands, and the few signs that it has no letters for."""
    return "".join(_LATEX.get(character, character) for character in text)
