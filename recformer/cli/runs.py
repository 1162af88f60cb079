"""`python -m recformer runs …`: list runs, say something about them, stop and delete them. Without torch or pandas."""

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from recformer.errors import StoreError, UsageError
from recformer.files.names import checked_run_id
from recformer.run.paths import Root

if TYPE_CHECKING:
    from recformer.run.overview import RunSummary

# What reads records is imported by the command that uses it: help must be there at once.

app = typer.Typer(invoke_without_command=True, help="List runs; show, label, stop or delete one.")

LAST_WORDS = 6  # lines of the log of a run that went wrong

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
RunArgument = Annotated[str, typer.Argument(help="Id of a run.", metavar="RUN")]


@app.callback()
def runs(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Archived runs too.")] = False,
    query: Annotated[
        str,
        typer.Option(
            "--filter",
            help="Which to list: words, state:finished, tag:TAG, penalty>0, ndcg@10>=0.05; -tag:TAG for not.",
            metavar="QUERY",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """List runs with their states, newest first."""
    from recformer.run.overview import list_runs

    if context.invoked_subcommand is not None:
        if query:
            raise UsageError(f"--filter {query!r} is for the list of runs, not for: runs {context.invoked_subcommand}")
        return
    found, damaged = list_runs(root_of(context))
    for broken in damaged:
        print(f"{broken.run_id}: {broken.reason}", file=sys.stderr)
    picked = _picked(root_of(context), query, found)
    shown = [run for run in picked if everything or not run.labels.archived]
    if as_json:
        # A line for each run: indented, thousands of runs were mostly spaces, and took five times as long to write.
        lines = ",\n".join(json.dumps(_facts(run)) for run in shown)
        print(f"[\n{lines}\n]" if shown else "[]")
        return
    for run in shown:
        print(_line(run))
    if not found:
        print("no runs yet; start one with: python -m recformer train --preset baseline --data DIR")
    elif not picked:
        print(f"none of {len(found)} runs is what --filter {query!r} asks for")
    elif not shown:
        those = "all runs that it asks for" if query else "all runs"
        print(f"{those} are archived; list them with: python -m recformer runs --all")


@app.command("show")
def show(context: typer.Context, run_id: RunArgument, as_json: JsonOption = False) -> None:
    """Everything a run's records say."""
    from recformer.run.overview import find_run
    from recformer.run.printed import LOG_FILE, tail

    root = root_of(context)
    facts = _facts(find_run(root, checked_run_id(run_id)))
    if facts["state"] in ("failed", "lost"):
        facts["log"] = tail(root.run(run_id) / LOG_FILE, LAST_WORDS)
    print_facts(facts, as_json)


@app.command("stop")
def stop(
    context: typer.Context,
    run_id: RunArgument,
    grace: Annotated[
        float | None, typer.Option("--grace", help="Seconds before it is killed.", show_default="as in the settings")
    ] = None,
) -> None:
    """Ask a run to save and stop; kill it when it does not within the grace period."""
    from recformer.jobs import control
    from recformer.run.paths import known_run

    root = root_of(context)
    known_run(root, checked_run_id(run_id))  # one with a damaged record can be stopped all the same
    print(f"{run_id}: {control.stop(root, run_id, grace)}")


@app.command("queue")
def show_queue(context: typer.Context, as_json: JsonOption = False) -> None:
    """Each device's line: what trains, and what waits in which order."""
    from recformer.jobs import queue

    found = queue.lines(root_of(context))
    if as_json:
        print(json.dumps({device: asdict(line) for device, line in found.items()}, indent=2))
        return
    for device, line in sorted(found.items()):
        print(f"{device}: {', '.join(line.running) or 'nothing'} trains")
        for place, run_id in enumerate(line.waiting, start=1):
            print(f"  {place}. {run_id}")
    if not found:
        print("nothing trains or waits")


@app.command("move")
def move(
    context: typer.Context,
    run_id: RunArgument,
    where: Annotated[Literal["up", "down", "first", "last"], typer.Argument(help="Where to in its line.")],
) -> None:
    """Move a waiting run within its device's line."""
    from recformer.jobs import queue

    print(f"waiting now: {', '.join(queue.move(root_of(context), checked_run_id(run_id), where))}")


@app.command("settings")
def change_settings(
    context: typer.Context,
    assignments: Annotated[
        list[str] | None, typer.Argument(help="jobs_per_device=2, grace_s=60", metavar="[KEY=VALUE …]")
    ] = None,
) -> None:
    """What holds for all runs: how many train at once on a device, and how long a stop waits before it kills."""
    from recformer.run import settings

    root = root_of(context)
    pairs = [assignment.partition("=") for assignment in assignments or []]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise UsageError(f"{wrong[0]!r}: write key=value, for example jobs_per_device=2")
    changes = {key: value for key, _, value in pairs}
    for name, value in settings.change_settings(root, **changes) if pairs else settings.read_settings(root):
        print(f"{name}: {value:g}")


@app.command("rename")
def rename(
    context: typer.Context,
    run_id: RunArgument,
    name: Annotated[str, typer.Argument(help="What to call it, 1 to 80 characters.")],
) -> None:
    """Call a run something else; its id stays."""
    from recformer.run import labels

    print(f"{run_id}: is called {labels.rename(root_of(context), run_id, name).name}")


@app.command("tag")
def tag(
    context: typer.Context,
    run_id: RunArgument,
    tags: Annotated[list[str], typer.Argument(help="Tags, 1 to 40 characters each.", metavar="TAG …")],
    remove: Annotated[bool, typer.Option("--remove", help="Take these tags away.")] = False,
) -> None:
    """Give a run tags, or take them away."""
    from recformer.run import labels

    changed = labels.tag(root_of(context), run_id, *(((), tags) if remove else (tags, ())))
    print(f"{run_id}: {_tags(changed.tags) or 'no tags'}")


@app.command("note")
def note(
    context: typer.Context,
    run_id: RunArgument,
    text: Annotated[str, typer.Argument(help='The note; "" removes it.')],
) -> None:
    """Write a note on a run, in place of the one it has."""
    from recformer.run import labels

    changed = labels.annotate(root_of(context), run_id, text)
    print(f"{run_id}: {'note saved' if changed.note else 'no note'}")


@app.command("archive")
def archive(context: typer.Context, run_id: RunArgument) -> None:
    """Put a run aside: it is listed with --all only."""
    from recformer.run import labels

    labels.archive(root_of(context), run_id)
    print(f"{run_id}: archived")


@app.command("unarchive")
def unarchive(context: typer.Context, run_id: RunArgument) -> None:
    """Put an archived run back into the list."""
    from recformer.run import labels

    labels.archive(root_of(context), run_id, archived=False)
    print(f"{run_id}: back in the list")


@app.command("delete")
def delete(context: typer.Context, run_id: RunArgument, yes: YesOption = False) -> None:
    """Move a run with its checkpoints to the bin, from where it can be restored."""
    from recformer.run import trash
    from recformer.run.paths import known_run

    root = root_of(context)
    known_run(root, checked_run_id(run_id))
    ask(f"Move run {run_id} with its checkpoints to the bin?", yes)
    entry = trash.discard(root, run_id)
    print(f"{run_id}: is in the bin as {entry}; restore it with: python -m recformer runs restore {entry}")


@app.command("bin")
def list_bin(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the deleted runs, the newest first."""
    from recformer.run import trash

    found = trash.discarded(root_of(context))
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.discarded_at))
        print(f"{one.entry:<44}  {when}  {_megabytes(one.bytes):>12}  {one.name}")
    if not found:
        print("the bin is empty")


@app.command("restore")
def restore(
    context: typer.Context,
    entry: Annotated[str, typer.Argument(help="Entry of the bin (see: runs bin).", metavar="ENTRY")],
) -> None:
    """Put a deleted run back."""
    from recformer.run import trash

    print(f"{entry}: restored as run {trash.restore(root_of(context), entry)}")


@app.command("empty-bin")
def empty_bin(context: typer.Context, yes: YesOption = False) -> None:
    """Remove all deleted runs for good."""
    from recformer.run import trash

    root = root_of(context)
    found = trash.discarded(root)
    if not found:
        print("the bin is empty")
        return
    size = _megabytes(sum(one.bytes for one in found))
    count = "1 deleted run" if len(found) == 1 else f"{len(found)} deleted runs"
    ask(f"Remove {count} ({size}) for good?", yes)
    trash.empty(root)
    print(f"{count} ({size}) removed for good")


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        print(f"{name}: {value}")


def _picked(root: Root, query: str, found: "list[RunSummary]") -> "list[RunSummary]":
    """Those of the runs that `query` asks for. Logs are read only where it compares something."""
    from recformer.run import search

    logged = search.compares(query)
    entries = [search.entry_of(run, _best_figures(root, run) if logged else {}) for run in found]
    return [run for run, hit in zip(found, search.picked(query, entries), strict=True) if hit]


def _best_figures(root: Root, run: "RunSummary") -> dict[str, float]:
    """The run's figures at its best epoch; those of its best checkpoint alone where its log cannot be read."""
    from recformer.logs.best import best_values
    from recformer.logs.by_step import by_epoch
    from recformer.logs.reader import RunLog

    log = RunLog(root.run(run.run_id))
    try:
        log.refresh()
    except StoreError as error:
        print(f"{run.run_id}: {error}", file=sys.stderr)
    return best_values(by_epoch(log.scalars()), run.best)


def root_of(context: typer.Context) -> Root:
    return context.obj  # what the command line's own callback left there


def ask(question: str, yes: bool) -> None:
    """Go on where a person says so. Raises UsageError where there is nobody to ask, Abort for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("this asks first, and there is no terminal to ask on: add --yes")
    typer.confirm(question, abort=True, err=True)


def _line(run: "RunSummary") -> str:
    marks = ["archived"] if run.labels.archived else []
    marks += [f"“{run.labels.name}”"] if run.labels.name else []
    marks += [_tags(run.labels.tags)] if run.labels.tags else []
    return f"{run.run_id:<32}  {run.state.name:<9}  {run.state.words}{''.join(f'  {mark}' for mark in marks)}"


def _tags(tags: list[str]) -> str:
    return " ".join(f"#{tag}" for tag in tags)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _facts(run: "RunSummary") -> dict[str, Any]:
    status = run.status
    return {
        "run_id": run.run_id,
        "name": run.name,
        "tags": run.labels.tags,
        "note": run.labels.note,
        "archived": run.labels.archived,
        "state": run.state.name,
        "words": run.state.words,
        "stalled": run.state.stalled,
        "created": run.created,
        "epoch": status.epoch if status else None,
        "num_epochs": status.num_epochs if status else None,
        "step": status.step if status else None,
        "steps": status.steps if status else None,
        "eta_s": status.eta_s if status else None,
        "device": status.device if status else None,
        "metrics": status.metrics if status else {},
        "best": (run.best or {}).get("metrics") or {},
        "checkpoints": run.checkpoints,
        "config": run.config,
    }
