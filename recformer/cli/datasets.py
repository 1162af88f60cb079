"""`data add`, `list`, `remove` and `export`: tables as datasets of the project, and the parts of a split as tables."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from recformer.cli.runs import JsonOption, YesOption, ask, root_of
from recformer.errors import RecformerError, UsageError
from recformer.files.names import expanded

if TYPE_CHECKING:
    from recformer.data.add import Preview
    from recformer.data.mapping import Mapping
    from recformer.data.report import Report

app = typer.Typer(no_args_is_help=True, help="Add, fetch, describe and export datasets.")
SPLIT_HELP = "leave_last_out, global_temporal or random_windows; as_given where the data came split."
NameArgument = Annotated[str, typer.Argument(help="Name of a dataset in data/.", metavar="NAME")]


def _text(name: str, help: str, metavar: str = "COLUMN") -> Any:
    return typer.Option(name, help=help, metavar=metavar)


def _file(name: str, help: str) -> Any:
    return typer.Option(name, help=help, metavar="FILE", parser=expanded)


@app.command("add")
def add(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="File or folder of interactions.", metavar="PATH", parser=expanded)],
    name: Annotated[str | None, _text("--name", "What the dataset is called here.", "NAME")] = None,
    user: Annotated[str | None, _text("--user", "Column of users.")] = None,
    item: Annotated[str | None, _text("--item", "Column of items.")] = None,
    time: Annotated[str | None, _text("--time", "Column of times.")] = None,
    no_time: Annotated[bool, typer.Option("--no-time", help="The order of lines is the order in time.")] = False,
    rating: Annotated[str | None, _text("--rating", "Column of ratings or weights.")] = None,
    event: Annotated[str | None, _text("--event", "Column that says which event a row is.")] = None,
    time_unit: Annotated[
        Literal["s", "ms", "us", "iso", "dmy", "mdy"] | None,
        typer.Option(
            "--time-unit",
            help="Of numbers since 1970, or how dates are written: iso 2026-11-30, dmy 30/11/2026, mdy 11/30/2026.",
        ),
    ] = None,
    duplicates: Annotated[
        Literal["keep", "first", "last", "error"] | None,
        typer.Option("--duplicates", help="Rows that repeat user, item and time of another."),
    ] = None,
    min_rating: Annotated[float | None, typer.Option("--min-rating", help="Leave out what is rated lower.")] = None,
    events: Annotated[str, _text("--events", "Only these events, comma-separated.", "NAME,NAME")] = "",
    k_core: Annotated[
        int | None, typer.Option("--k-core", min=0, help="The same as --min-user and --min-item together.")
    ] = None,
    min_user: Annotated[
        int, typer.Option("--min-user", min=0, help="Interactions a user must have, counted anew until all have them.")
    ] = 0,
    min_item: Annotated[int, typer.Option("--min-item", min=0, help="The same of items.")] = 0,
    items: Annotated[Path | None, _file("--items", "Table of items.")] = None,
    item_id: Annotated[str | None, _text("--item-id", "Its column of ids.")] = None,
    title: Annotated[str | None, _text("--title", "Its column of titles.")] = None,
    users: Annotated[Path | None, _file("--users", "Table of users.")] = None,
    user_id: Annotated[str | None, _text("--user-id", "Its column of ids.")] = None,
    noun: Annotated[str | None, _text("--noun", "What an item is: product, track, article.", "WORD")] = None,
    layout: Annotated[
        Literal["delimited", "parquet", "json_lines", "recbole", "sequences"] | None,
        typer.Option("--layout", help="How the file is written; sequences: a user and their items on each line."),
    ] = None,
    separator: Annotated[str | None, _text("--separator", r"Between fields: one character, \t, or ::", "TEXT")] = None,
    encoding: Annotated[Literal["utf-8", "latin-1"] | None, typer.Option("--encoding", help="Of the text.")] = None,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first line names the columns.")
    ] = None,
    quotes: Annotated[
        bool | None, typer.Option("--quotes/--no-quotes", help="Whether fields may stand in quotes.")
    ] = None,
    complete: Annotated[
        bool | None,
        typer.Option("--complete/--no-complete", help="Whether a last line without a line break is whole."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be added.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a dataset of a table: CSV, any separator, Parquet, JSON lines, RecBole or sequence files, packed or not.

    What is not said is guessed, and the guess is told. A folder of MovieLens' or RecBole's own files, of which nothing
    is said, is read as such. The files stay where they are; data/NAME links to them.
    """
    from recformer.data.add import add as add_dataset
    from recformer.data.add import preview, preview_layout
    from recformer.data.assemble import layout_in
    from recformer.data.guess import Said, guess
    from recformer.data.sources.linking import link_as

    if name is None and not dry_run:
        raise UsageError("--name is missing: what shall the dataset be called?")
    if k_core is not None and (min_user or min_item):
        raise UsageError("--k-core means --min-user and --min-item together: give one or the other")
    said = Said(
        user=user,
        item=item,
        time=time,
        has_no_time=no_time,
        rating=rating,
        event=event,
        time_unit=time_unit,
        duplicates=duplicates,
        min_rating=min_rating,
        events=tuple(events.split(",")) if events else (),
        min_user=min_user if k_core is None else k_core,
        min_item=min_item if k_core is None else k_core,
        items=items,
        item_id=item_id,
        title=title,
        users=users,
        user_id=user_id,
        noun=noun,
        format=layout,
        separator="\t" if separator == r"\t" else separator,
        encoding=encoding,
        header=header,
        quotes=quotes,
        complete=complete,
    )
    root = root_of(context)
    known, asked = layout_in(path), None if dry_run else name
    if known is not None and said == Said():
        mapping, reasons = None, [f"the files are of the layout {known}"]
        seen = preview_layout(path, root.data / ".cache")
        folder = None if asked is None else link_as(asked, path, root.data)
    else:
        guessed = guess(path, said)
        mapping, reasons = guessed.mapping, guessed.reasons
        if known is not None:
            reasons.insert(0, f"the files are of the layout {known}; since more is said of them, they are any table")
        folder = None if asked is None else add_dataset(guessed, asked, root.data, _progress())
        seen = preview(guessed, root.data / ".cache", _progress())
    if as_json:
        print(json.dumps({"folder": folder and str(folder), **_facts(mapping, reasons, seen)}, indent=2))
    else:
        print("\n".join(_lines(reasons, seen, dry_run)))
        print("nothing was added; leave --dry-run out to add it" if folder is None else f"added: {folder}")


@app.command("list")
def list_datasets(context: typer.Context, as_json: JsonOption = False) -> None:
    """The datasets in data/, with their sizes."""
    from recformer.data.assemble import datasets
    from recformer.data.cache import load

    root = root_of(context)
    rows: list[dict[str, Any]] = []
    for folder in datasets(root.data):
        name = str(folder.relative_to(root.data))
        try:
            found = load(folder, root.data / ".cache")
            counts = {"users": found.num_users, "items": found.num_items, "interactions": found.num_interactions}
            rows.append({"name": name, "format": found.reader, **counts, "fingerprint": found.fingerprint})
        except RecformerError as error:
            rows.append({"name": name, "error": str(error)})
    if as_json:
        print(json.dumps(rows, indent=2))
    for row in [] if as_json else rows:
        counts = row.get("error") or ", ".join(f"{row[key]:,} {key}" for key in ("users", "items", "interactions"))
        print(f"{row['name']}: {counts}")


@app.command("remove")
def remove(context: typer.Context, name: NameArgument, yes: YesOption = False) -> None:
    """Take a dataset out of data/. What it links to stays; files that lie in it are removed for good."""
    from recformer.data import add

    data = root_of(context).data
    size = add.own_bytes(add.dataset_folder(name, data))
    lost = f"with {size / 1e6:,.1f} MB of files that are nowhere else" if size else "its files stay where they are"
    ask(f"Remove the dataset {name}, {lost}?", yes)
    add.remove(name, data)
    print(f"{name}: removed, {lost}")


@app.command("export")
def export(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="Its name, or its folder.", metavar="NAME")],
    out: Annotated[Path, typer.Argument(help="New folder to write to.", metavar="DIR", parser=expanded)],
    split: Annotated[str, typer.Option("--split", help=SPLIT_HELP)] = "leave_last_out",
    kind: Annotated[
        Literal["recbole", "csv", "parquet", "sequences"], typer.Option("--format", help="How the files are written.")
    ] = "csv",
) -> None:
    """Training, validation and test parts for other libraries, with the dataset's own ids."""
    from recformer.config import parse_section
    from recformer.data.cache import load
    from recformer.data.export import export as export_parts
    from recformer.data.prepared import require_split

    root = root_of(context)
    found = load(root.dataset(dataset), root.data / ".cache")
    require_split(split, found)
    for path in export_parts(found, parse_section("split", split), kind, out):
        print(path)


def _progress() -> Any:
    """Megabytes read, on standard error where a person looks on."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(
            f"\r{done / 1e6:,.0f} of {total / 1e6:,.0f} MB",
            end="\n" if done >= total else "",
            file=sys.stderr,
            flush=True,
        )

    return show


def _facts(mapping: "Mapping | None", reasons: list[str], seen: "Preview") -> dict[str, Any]:
    report = seen.dataset.report
    return {
        "format": seen.dataset.reader,
        "mapping": mapping and asdict(mapping),
        "reasons": reasons,
        "report": asdict(report),
        "left_out": report.left_out(),
        "notes": report.notes(),
        "rows": {name: values[:20] for name, values in seen.rows.items()},
        "histories": seen.histories,
        "fingerprint": seen.dataset.fingerprint,
    }


def _lines(reasons: list[str], seen: "Preview", with_rows: bool) -> list[str]:
    lines = [f"- {reason}" for reason in reasons]
    if with_rows and seen.rows:
        lines += ["", "first rows:", "  ".join(seen.rows)]
        lines += ["  ".join(map(str, row)) for row in zip(*seen.rows.values(), strict=True)]
    if with_rows:
        lines += ["", "first histories, the latest last:"]
        lines += [f"{user}: {', '.join(history)}" for user, history in seen.histories.items()]
        lines += [""]
    return [*lines, *_counts(seen.dataset.report, seen)]


def _counts(report: "Report", seen: "Preview") -> list[str]:
    items = f"{report.items:,} {seen.dataset.nouns.items}"
    head = f"{report.rows:,} rows; {report.interactions:,} interactions of {report.users:,} users with {items}"
    span = report.span()
    left_out = [f"left out: {reason}" for reason in report.left_out()] or ["left out: nothing"]
    return [head + (f", {span}" if span else ""), *left_out, *(f"note: {note}" for note in report.notes())]
