"""What is taken along of a comparison carries the page's figures, and nothing in a name becomes markup."""

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from recformer.errors import count
from recformer.evaluation.cases import Known
from recformer.evaluation.compare import join_seeds
from recformer.evaluation.ranks import Masking
from recformer.evaluation.report import render, stars
from recformer.evaluation.significance import Question
from recformer.evaluation.table import masking_of
from recformer.run.model_ref import ModelRef
from recformer.ui.compare.comparison import ACCURACY, DUPLICATION, ComparisonChoice, ShownComparison, title_of
from recformer.ui.compare.exports import to_csv, to_latex, to_markdown
from recformer.ui.compare.html_report import to_html
from recformer.ui.compare.tables import difference_rows, metric_table
from recformer.ui.shared.palette import Style
from tests.builders import dataset_in
from tests.evaluation_builders import NUM_ITEMS, evaluation_of, made_up_ranks

HOSTILE = '</script><script>alert("1")</script> a|b & 5% $x_1$ **bold** \\'
LABELS = ["baseline λ=0.2", HOSTILE, "imported"]
CUTOFFS = [3, 10]
QUESTION = Question(margin=0.2)
RANKING = ["ndcg", "hr"]
CONFIGS = {"baseline": {"learning_rate": 0.1, "seed": 1}, HOSTILE: {"learning_rate": 0.2, "seed": 1}}
CELL = re.compile(r"\**(\d+\.\d{4})\**(?: :gray\[:small\[(±\d+\.\d{3})\]\])?(?:<br>.*?\(([+−]\d+\.\d{4}(?:\\\*|†)*))?")


@pytest.fixture(params=["history", "none"])
def comparison(tmp_path: Path, request: pytest.FixtureRequest) -> ShownComparison:
    """Three models, the second of which is far better than the first, the reference."""
    rows = [(1 + user, 1 + (7 * user + place) % NUM_ITEMS, 4, 100 * place) for user in range(40) for place in range(9)]
    data = dataset_in(tmp_path / "data", rows)
    refs = [ModelRef(name, run, Path(name)) for run, name in (("one", "best"), ("two", "last"), ("three", "best"))]
    under = (request.param, "leave_last_out", "test", "file", 5)
    choice = ComparisonChoice(refs, refs[0], *under, QUESTION, CUTOFFS, data, [])
    ranks = [made_up_ranks(0), made_up_ranks(1, shift=14), made_up_ranks(2)]
    evaluations = [
        evaluation_of(rank, ref.run, trained_on=trained)
        for ref, rank, trained in zip(refs, ranks, [0, 0, None], strict=True)
    ]
    return ShownComparison(
        [[ref] for ref in refs],
        evaluations,
        0,
        QUESTION,
        choice=choice,
        labels=LABELS,
        styles=[Style(colour) for colour in ("#8C8C8C", "#E69F00", "#009E73")],
        keys=tuple(f"{tmp_path}{ref}" for ref in refs),
    )


def page_cells(comparison: ShownComparison, group: list[str]) -> list[list[tuple[str, str, str]]]:
    """A view of the page: for each model (mean, spread, difference with stars) of every metric at every cutoff."""
    results = comparison.shown(group)
    rows: list[list[tuple[str, str, str]]] = [[] for _ in LABELS]
    for metric in group:
        table = metric_table(results, ["head"] * len(LABELS), metric, CUTOFFS, QUESTION)
        for row, line in zip(rows, table.splitlines()[2:], strict=True):
            found = [CELL.match(cell) for cell in line.strip("| ").split(" | ")[1:]]
            row += [(m[1], m[2] or "", (m[3] or "").replace("\\", "")) for m in found if m]
    assert all(len(row) == len(group) * len(CUTOFFS) for row in rows)
    return rows


BEYOND = ["novelty", "popularity", "diversity/genre", "coverage", "gini"]
GROUPS = {"Ranking": RANKING, "Duplication": DUPLICATION, "Beyond accuracy": BEYOND}


def test_csv_has_every_figure_of_the_page_with_its_model_and_protocol(comparison: ShownComparison) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison, RANKING))))
    assert len(rows) == len(LABELS) * len(CUTOFFS) * sum(map(len, GROUPS.values()))
    for view, metrics in GROUPS.items():
        for label, result in zip(LABELS, comparison.shown(metrics), strict=True):
            for name, metric in result["metrics"].items():
                base, k = name.split("@")
                (row,) = (r for r in rows if (r["view"], r["model"], r["metric"], r["k"]) == (view, label, base, k))
                assert float(row["mean"]) == metric["mean"]
                assert row["low"] == ("" if metric["low"] is None else repr(metric["low"]))
                tested = metric.get("difference", {})
                assert row["difference"] == ("" if not tested else repr(tested["mean"]))
                adjusted = tested.get("p_adjusted")
                assert row["difference_p_adjusted"] == ("" if adjusted is None else repr(adjusted))
                assert row["difference_about"] == tested.get("about", "")
                assert row["difference_correction"] == tested.get("correction", "")
                assert row["difference_at_floor"] == str(tested.get("at_floor", ""))
                assert row["difference_family"] == tested.get("family", "")
                assert row["difference_verdict"] == tested.get("verdict", "")
                assert row["masking"] == masking_of(name, comparison.choice.masking)
                assert row["reference"] == "one/best" and row["dataset"] == comparison.protocol.dataset
    assert {row["trained_on"] for row in rows if row["model"] == "imported"} == {"unknown"}


def test_every_export_says_what_was_seen_and_which_settings_were_chosen(comparison: ShownComparison) -> None:
    seen, counted, unknown = comparison.evaluations
    evaluations = [
        replace(seen, known=Known(3, 5)),
        replace(counted, settings={"latest": 10, "decay": 0.8}),
        unknown,
    ]
    changed = replace(comparison, evaluations=evaluations, keys=(*comparison.keys[:-1], "changed"))
    expected = [("3", "5", ""), ("0", "0", "latest 10, decay 0.8"), ("unknown", "unknown", "")]
    of_page = list(csv.DictReader(io.StringIO(to_csv(changed, RANKING))))
    of_command = list(csv.DictReader(io.StringIO(render(changed, CUTOFFS, "csv", "history"))))
    for rows, column, names in ((of_page, "model", LABELS), (of_command, "run", [e.model.run for e in evaluations])):
        for name, told in zip(names, expected, strict=True):
            own = [row for row in rows if row[column] == name]
            assert {(row["trained_on"], row["validated_on"], row["settings"]) for row in own} == {told}
    report = to_html(changed, RANKING, CONFIGS, "/compare")
    for told in expected:
        assert "\n".join(f"<td>{value}</td>" for value in told[1:]) in report
    assert "Settings chosen on validation" in report
    table = render(changed, CUTOFFS, "table", "history")
    cells = {line.split("  ")[0]: line for line in table.splitlines()}
    assert f"5 of {len(seen.ranks)}: they chose its checkpoint or settings" in cells["cases validated on"]
    assert "latest 10, decay 0.8" in cells["chosen on validation"]


def test_every_export_says_which_models_are_lists_made_elsewhere(comparison: ShownComparison) -> None:
    first, *others = comparison.evaluations
    known = np.full(len(first.ranks), 10, dtype=np.uint8)
    lists = replace(first.ranks, known_none=known, known_window=known, known_history=known)
    evaluations = [replace(first, seeds=(lists,)), *others]
    changed = replace(comparison, evaluations=evaluations, keys=(*comparison.keys[:-1], "lists"))
    words = "lists made elsewhere, up to K = 10: ranks beyond are unknown"
    for text in (
        to_html(changed, RANKING, CONFIGS, "/compare"),
        to_csv(changed, RANKING),
        to_markdown(changed, RANKING).replace("\\", ""),
        *(render(changed, [10], kind, "history") for kind in ("table", "markdown", "csv", "json")),
    ):
        assert words in text
    assert f"{LABELS[0]}: {words}" in changed.protocol_rows["Made elsewhere"]


def test_a_p_value_that_could_be_no_lower_is_said_in_the_same_words_everywhere(comparison: ShownComparison) -> None:
    results = comparison.shown(RANKING)
    tested = [
        entry for result in results for metric in result["metrics"].values() if (entry := metric.get("difference"))
    ]
    count = sum(entry["at_floor"] for entry in tested)
    assert 0 < count < len(tested)
    words = "p ≤ 0.00001 (as low as 100,000 random signs can show)"
    rows = difference_rows(results, LABELS)
    assert [row["lowest"] for row in rows].count(words) == count
    assert all((row["lowest"] != "") == (row["p_adjusted"] < 1.0001e-5) for row in rows)
    said = f"{count} with {words}"
    assert said in to_markdown(comparison, RANKING).replace("\\", "")
    assert said.replace("≤", r"$\leq$") in to_latex(comparison, RANKING)
    assert said in unescape(to_html(comparison, RANKING, CONFIGS, "/compare"))
    masking = comparison.choice.masking
    assert said in render(comparison, CUTOFFS, "table", masking, metrics="ndcg,hr")


def test_one_is_no_plural(comparison: ShownComparison) -> None:
    protocol = replace(comparison.protocol, skipped_users=1)
    evaluations = [replace(one, protocol=protocol) for one in comparison.evaluations]
    alone = replace(comparison, evaluations=evaluations, keys=("alone",))
    assert "60 cases" in (said := render(alone, CUTOFFS, "table", "history")) and " 1 user with too short" in said
    assert "1 user with too short" in alone.protocol_rows["Cases"]
    assert (count(1, "case"), count(0, "case"), count(6040, "user")) == ("1 case", "0 cases", "6,040 users")


def test_markdown_has_the_cells_of_the_page(comparison: ShownComparison) -> None:
    text = to_markdown(comparison, RANKING)
    for view, metrics in GROUPS.items():
        section = text.split(f"## {view}\n\n")[1].split("\n\n")[0].splitlines()
        assert len(re.split(r"(?<!\\)\|", section[0])) == 3 + len(metrics) * len(CUTOFFS)
        for line, cells in zip(section[2:], page_cells(comparison, metrics), strict=True):
            parts = re.split(r"(?<!\\)\|", line)[2:-1]
            for part, (mean, spread, difference) in zip(parts, cells, strict=True):
                assert mean in part and spread in part
                assert f"({difference})" in part.replace("\\", "") if difference else "(" not in part
    assert "<script>" not in text
    assert comparison.protocol.fingerprint in text


def test_latex_has_the_means_of_the_page_and_only_our_own_commands(comparison: ShownComparison) -> None:
    text = to_latex(comparison, RANKING)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 3
    for metrics in GROUPS.values():
        for cells in page_cells(comparison, metrics):
            assert all(mean in text for mean, _, _ in cells)
    hostile = next(line for line in text.splitlines() if "alert" in line)
    assert r"a\textbar{}b \& 5\% \$x\_1\$ **bold** \textbackslash{}" in hostile
    assert hostile.count(" & ") == len(RANKING) * len(CUTOFFS)
    balance = re.sub(r"\\[{}]", "", text)
    assert balance.count("{") == balance.count("}")


class Reader(HTMLParser):
    """The elements of a page, its table cells as text, and what its scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.cells: list[str] = []
        self.links: list[str] = []
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag in ("script", "td"):
            self._in = tag
            (self.scripts if tag == "script" else self.cells).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._in:
            self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in == "td":
            self.cells[-1] += data


def test_the_html_report_stands_alone_and_carries_the_pages_figures(comparison: ShownComparison) -> None:
    page = Reader(to_html(comparison, RANKING, CONFIGS, "/compare?runs=one"))
    assert page.links == [], "it needs nothing from outside"
    cells = [" ".join(cell.split()) for cell in page.cells]
    for metrics in GROUPS.values():
        for row in page_cells(comparison, metrics):
            for mean, spread, difference in row:
                wanted = " ".join(part for part in (mean, spread, f"({difference})" if difference else "") if part)
                assert any(cell.startswith(wanted) for cell in cells)
    charts = [json.loads(script) for script in page.scripts[:-2]]
    titles = [chart["layout"]["title"]["text"] for chart in charts]
    assert [f"{title_of(metric)}@k" for metric in RANKING] == titles[:2]
    assert any(title.startswith("Rank of each held-out movie") for title in titles)
    assert any(HOSTILE in cell for cell in cells), "a name is text"
    assert "learning_rate" in cells and "0.2" in cells


def test_every_export_gives_the_pages_answer_and_says_what_is_primary(comparison: ShownComparison) -> None:
    found = comparison.conclusion
    texts = [to_markdown(comparison, RANKING), to_html(comparison, RANKING, CONFIGS, "")]
    for text in texts:
        plain = unescape(text).replace("\\", "")
        assert all(sentence.replace("\\", "") in plain for sentence in (found.words, found.undecided))
        assert (
            "NDCG@10 is primary: max-T over its 2 differences; all else is exploratory, corrected by kind over all of it, "
            "shown or not: accuracy max-T over 16 differences" in plain
        )
    assert "clearly above baseline λ=0.2, the reference" in found.words
    assert found.undecided.startswith("Not told apart from the reference: imported ")
    assert "detectable" in found.undecided and "equivalent within ±0.2" in found.undecided
    assert "NDCG @10 (primary)" in to_latex(comparison, RANKING).replace("\\", "")
    rows = csv.DictReader(io.StringIO(to_csv(comparison, RANKING)))
    families = {(row["metric"], row["k"]): row["difference_family"] for row in rows if row["model"] == HOSTILE}
    assert [place for place, family in families.items() if family == "primary"] == [("ndcg", "10")]
    assert families["hr", "10"] == families["duplication/window", "3"] == "exploratory"


@pytest.mark.parametrize("metrics", [ACCURACY, ["mrr"]])
def test_the_ranking_of_an_export_is_what_was_chosen(comparison: ShownComparison, metrics: list[str]) -> None:
    rows = csv.DictReader(io.StringIO(to_csv(comparison, metrics)))
    assert {row["metric"] for row in rows if row["view"] == "Ranking"} == set(metrics)
    masking: Masking = comparison.choice.masking
    assert masking in to_markdown(comparison, metrics)


@pytest.mark.parametrize("several", [False, True], ids=["one seed", "several seeds"])
def test_one_seed_has_a_dagger_and_no_star_in_every_export_and_several_have_stars(
    comparison: ShownComparison, several: bool
) -> None:
    if several:
        groups = [
            [evaluation_of(made_up_ranks(10 * place + seed, shift=14 * (place == 1)), run) for seed in range(3)]
            for place, run in enumerate(("one", "two", "three"))
        ]
        comparison = replace(comparison, evaluations=list(map(join_seeds, groups)), keys=("a", "b", "c"))
    entry = comparison.primary()[1]["metrics"]["ndcg@10"]["difference"]
    mark = stars(entry)
    assert (entry["about"], mark[0]) == (("recipes", "*") if several else ("models", "†"))
    difference = f"{entry['mean']:+.4f}{mark}".replace("-", "−")
    unlike = "†" if several else "*"
    page = page_cells(comparison, RANKING)
    cells = {cell for row in page for *_, cell in row}
    assert difference in cells and not any(unlike in cell for cell in cells)
    markdown, report = to_markdown(comparison, RANKING), to_html(comparison, RANKING, CONFIGS, "")
    assert difference in markdown.replace("\\", "") and difference in unescape(report)
    rows = list(csv.DictReader(io.StringIO(to_csv(comparison, RANKING))))
    assert {row["difference_about"] for row in rows if row["difference_p"]} == {entry["about"]}
    assert {row["difference_correction"] for row in rows if row["difference_p"]} == {"Holm" if several else "max-T"}
    said = "were trained with one seed: another seed may differ"
    for text in (markdown, report):
        assert (said in unescape(text).replace("\\", "")) == (not several)
    table = render(comparison, CUTOFFS, "table", "history").split("has the highest")[0]
    assert f"]{mark[0]}" in table and f"]{unlike}" not in table
    assert (said in render(comparison, CUTOFFS, "table", "history")) == (not several)
