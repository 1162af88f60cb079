"""The command line: what scripts and the app both call. Each command reads arguments, calls one function, prints."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from recformer import __version__
from recformer.cli import datasets, runs
from recformer.cli.runs import JsonOption, print_facts
from recformer.data.sources.grouplens import SETS
from recformer.errors import RecformerError, UsageError
from recformer.evaluation.report import Format, render
from recformer.files.names import IS_INSTALLED, PROJECT, checked_run_id, expanded
from recformer.run.model_ref import ModelRef, all_baselines, find_model
from recformer.run.paths import Root

if TYPE_CHECKING:
    from recformer.evaluation.article import ArticleModel
    from recformer.evaluation.compare import Comparison
    from recformer.evaluation.evaluate import Task
    from recformer.evaluation.significance import Question

# What needs torch or pandas is imported by the command that uses it: `runs` must answer at once.

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
data_app = datasets.app
app.add_typer(data_app, name="data")
app.add_typer(runs.app, name="runs")

Masking = Literal["history", "window", "none"]
TimeTies = Literal["file", "hash", "as_set"]


def _path(*names: str, help: str, metavar: str = "DIR", **more: Any) -> Any:
    """An option that names a file or folder, `~` expanded."""
    return typer.Option(*names, help=help, metavar=metavar, parser=expanded, **more)


def _data_folder(text: str) -> Path:
    return _root.dataset(text)


DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="The dataset: its name in data/, or its folder.", metavar="NAME", parser=_data_folder),
]
SplitOption = Annotated[str, typer.Option("--split", help=datasets.SPLIT_HELP)]
SplitSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--split-set", help="Change an option of the split: split_seed=3, test_fraction=0.2.", metavar="KEY=VALUE"
    ),
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        help="Only these in tables, CSV and slices, comma-separated: ndcg, mrr, hr, map, recall (where cases have "
        "several targets), duplication/window, duplication/history, novelty, popularity, diversity (or "
        "diversity/COLUMN), coverage, gini.",
        metavar="NAMES",
    ),
]
PartOption = Annotated[
    Literal["test", "validation"],
    typer.Option("--part", help="Part of the split: validation while you choose, the test as a last step."),
]
TimeTiesOption = Annotated[
    TimeTies,
    typer.Option(
        "--time-ties",
        help="Which of a user's interactions at one time counts as the later one: the later line (file), by a seeded "
        "hash (hash), or none, all are looked for together (as_set).",
    ),
]
CutoffOption = Annotated[str, typer.Option("--k", help="Cutoffs, comma-separated, 1 to 20.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda:N.")]
RunsArgument = Annotated[list[str], typer.Argument(help="Run ids, RUN/last, or checkpoint files.", metavar="RUN …")]
ModelsArgument = Annotated[
    list[str],
    typer.Argument(help="Run ids, RUN/last, checkpoint files, or baseline:NAME.", metavar="MODEL …"),
]
RecentOption = Annotated[
    int | None,
    typer.Option(
        *("--recent", "--window"),
        min=1,
        help="Latest items that count as the window, for masking and for duplication; 5 if not given.",
    ),
]
UsersOption = Annotated[
    int | None,
    typer.Option("--users", min=1, help="Evaluate a sample of so many users; everybody if not given.", metavar="N"),
]
UsersSeedOption = Annotated[
    int, typer.Option("--users-seed", min=0, max=2**63 - 1, help="Which draw of users.", metavar="SEED")
]
MaskOption = Annotated[
    Masking, typer.Option("--mask", help="What is taken out of the ranking; JSON and CSV hold all three.")
]
_root = Root(PROJECT)  # what choose_root reads of the options


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage; errors are told on standard error."""
    try:
        try:
            app(args=_root_first(sys.argv[1:]))
        finally:
            print(end="", flush=True)  # at Python's own end it would be too late to notice that nobody reads
    except RecformerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:
        _end_unread()
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer makes a failure of it
            _end_unread()
        raise


def _end_unread() -> None:
    """End well: whoever read our output has seen enough. What is left of it would fail again, so it goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(0)


def _root_first(arguments: list[str]) -> list[str]:
    """`--root DIR` may stand anywhere on the line; typer knows it before the command only."""
    for position, argument in enumerate(arguments):
        if argument == "--root" and position + 1 < len(arguments):
            return ["--root", arguments[position + 1], *arguments[:position], *arguments[position + 2 :]]
        if argument.startswith("--root="):
            return [argument, *arguments[:position], *arguments[position + 1 :]]
    return arguments


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"recformer {__version__}")
        raise typer.Exit


@app.callback()
def choose_root(
    context: typer.Context,
    root: Annotated[
        Path | None,
        _path(
            "--root",
            help="Where runs/, models/ and data/ are; else the project's folder, or the current one where Recformer is "
            "installed as a package.",
            envvar="RECFORMER_ROOT",
        ),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    from recformer.files import gate

    global _root
    if root is not None and os.path.exists(root) and not gate.is_folder(root):  # noqa: PTH110  no name is too long for it
        raise UsageError(f"--root {root} is no folder; name the one that holds runs/, models/ and data/")
    _root = Root.default() if root is None else Root(root.resolve())
    context.obj = _root  # for runs_cli


@app.command("app", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def open_app(context: typer.Context) -> None:
    """Open the app in a browser. Options are Streamlit's, such as --server.port 8600 or --server.headless true."""
    os.environ["RECFORMER_ROOT"] = str(_root.path)
    # Installed, app.py lies in the package, its pages and settings beside it (see setup.py).
    script = PROJECT / "recformer" / "ui" / "app" / "app.py" if IS_INSTALLED else PROJECT / "app.py"
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(script), *context.args])


@data_app.command("fetch")
def data_fetch(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(SETS)}.", metavar="NAME")],
) -> None:
    """Download a MovieLens set into data/, its checksum checked; what is there already is not fetched again."""
    from recformer.data.sources.download import Progress, fetch

    def show(progress: Progress) -> None:
        size = f"{progress.done / 1e6:.1f}" + (f" of {progress.total / 1e6:.1f}" if progress.total else "")
        print(f"\r{progress.what}: {size} MB  ", end="", file=sys.stderr, flush=True)

    folder = fetch(name, _root.data, show)
    print(file=sys.stderr)
    print(folder)


@data_app.command("info")
def data_info(
    directory: Annotated[Path, typer.Argument(help="Its name, or its folder.", metavar="NAME", parser=_data_folder)],
    repeats: Annotated[
        Literal["keep", "drop"] | None,
        typer.Option(
            "--repeats",
            help="Rows that repeat user, item and time of a row before: keep or drop them, here and from now on. It is "
            "remembered beside the files; dropping gives the dataset another fingerprint.",
        ),
    ] = None,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Also what sequential rules lose when histories are shuffled.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Counts of a dataset, how much of it is tied in time or repeated, what its users can show, its fingerprint."""
    from recformer.data.assemble import find_reader, has_mapping
    from recformer.data.describe import description_of
    from recformer.data.repeats import write_choice
    from recformer.training.recommended import recommended_preset

    if repeats is not None:
        if not has_mapping(directory):
            find_reader(directory)  # nothing is written where there is no dataset
        write_choice(directory, repeats)
    dataset = _dataset(directory)
    facts: dict[str, Any] = {
        "name": dataset.name,
        "format": dataset.reader,
        "fingerprint": dataset.fingerprint,
        **asdict(description_of(dataset).counts),
        **asdict(description_of(dataset).ties),
        "repeated_rows": dataset.repeats.rows,
        "repeats": dataset.repeats.choice,
        **_facts_of_the_rows(dataset.report, as_json),
        **_facts_of_the_split(dataset),
        **_power(dataset, as_json),
        **(_shuffled_rules(dataset) if shuffle else {}),
        "recommended_preset": recommended_preset(dataset)[0],
    }
    print_facts(facts, as_json)


def _facts_of_the_rows(report: Any, as_json: bool) -> dict[str, Any]:
    """What was left out of the files and what to know of the rest, in the words of `data add`."""
    if as_json:
        return {"report": asdict(report), "left_out": report.left_out(), "notes": report.notes()}
    return {"left_out": "; ".join(report.left_out()) or "nothing", "notes": "; ".join(report.notes()) or "nothing"}


def _facts_of_the_split(dataset: Any) -> dict[str, float]:
    """Of the test part of leave_last_out; nothing where the dataset has none, nor of times that are placeholders."""
    from recformer.evaluation.split_facts import usual_split_facts

    try:
        facts = asdict(usual_split_facts(dataset))
    except RecformerError:
        return {}
    del facts["tied_targets"]  # said above, of all users
    return facts if facts.pop("times_are_real") else {name: facts[name] for name in ("cold_users", "cold_items")}


def _power(dataset: Any, as_json: bool) -> dict[str, Any]:
    """What the test users of leave_last_out can show; nothing where the dataset has none."""
    from recformer.evaluation.power import power_of

    try:
        power = power_of(dataset)
    except RecformerError:
        return {}
    return {"power": power.as_dict() if as_json else f"{power} {power.measured}."}


def _shuffled_rules(dataset: Any) -> dict[str, float]:
    from recformer.config import parse_section
    from recformer.data.prepared import prepare
    from recformer.evaluation.shuffle_test import of_dataset

    found = of_dataset(prepare(dataset, parse_section("split", "leave_last_out")))
    return {"rules_in_order": found.ordered, "rules_shuffled": found.shuffled, "lost_by_shuffling": found.loss}


@app.command()
def train(
    preset: Annotated[str | None, typer.Option("--preset", help="Shipped configuration to begin with.")] = None,
    config: Annotated[Path | None, _path("--config", help="YAML configuration.", metavar="FILE")] = None,
    data: DataOption = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Change a field: num_epochs=2, model.dropout=0.2. A list trains one run a value: "
            "loss.penalty=[0.1,1] or seed=[0,1,2].",
            metavar="KEY=VALUE",
        ),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(help="More KEY=VALUE after --set.", metavar="[KEY=VALUE …]")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Id of the new run.", metavar="ID")] = None,
    device: DeviceOption = "auto",
    resume: Annotated[str | None, typer.Option("--resume", help="Run to go on with.", metavar="RUN_ID")] = None,
    refit: Annotated[
        str | None,
        typer.Option(
            "--refit",
            help="Train anew as this run, on validation too, for the epochs that validation chose.",
            metavar="RUN_ID",
        ),
    ] = None,
    init_from: Annotated[
        str | None, typer.Option("--init-from", help="Begin with this checkpoint's weights.", metavar="CHECKPOINT")
    ] = None,
) -> None:
    """Train a run in the foreground. Ctrl-C ends the step that is going on, saves, and stops."""
    from recformer.jobs import foreground
    from recformer.sweep import grid
    from recformer.training import request

    changes = [*(assignments or []), *(more or [])]
    try:
        if resume is not None:
            if preset or config or refit or init_from or run_id:
                raise UsageError(
                    "--resume goes alone with --set, --data and --device: a resumed run keeps its configuration"
                )
            asked = request.resumed(_root, checked_run_id(resume), changes, data, device)
            outcome = foreground.carry_out(_root, asked, changes, data)
        else:
            mapping, source = request.chosen_mapping(_root, preset, config, refit, init_from, changes)
            new_id = checked_run_id(run_id) if run_id is not None else None
            variants = grid.variants(mapping, source)
            known = request.dataset_of_refit(_root, refit) if refit and data is None else None
            dataset = known or request.dataset_in(_root, _required(data))
            plans = grid.planned(
                _root,
                variants,
                new_id,
                lambda config, new_id: request.fresh(_root, config, new_id, dataset, device, init_from),
            )
            if grid.is_sweep(mapping):
                raise typer.Exit(grid.carry_out(_root, plans))
            asked = plans[0]
            outcome = foreground.carry_out(_root, asked)
    except RecformerError as error:
        foreground.tell_failure(_root, run_id if resume is None else resume, device, error)
        raise
    print(f"{asked.run_id}: {outcome}")


@app.command()
def evaluate(
    runs: ModelsArgument,
    data: DataOption = None,
    split: SplitOption = "leave_last_out",
    split_set: SplitSetOption = None,
    part: PartOption = "validation",
    time_ties: TimeTiesOption = "file",
    k: CutoffOption = "3,5,10",
    mask: MaskOption = "history",
    metrics: MetricsOption = None,
    recent: RecentOption = None,
    users: UsersOption = None,
    users_seed: UsersSeedOption = 0,
    device: DeviceOption = "auto",
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Only what each model loses when the histories it reads are shuffled.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Ranking metrics and duplication of checkpoints on a part of a split."""
    from recformer.evaluation.table import checked_cutoffs

    cutoffs = checked_cutoffs(_whole_numbers(k))
    models = [find_model(_root, name) for name in runs]
    task = _task(models, data, split, part, time_ties, recent, split_set, users, users_seed)
    if shuffle:
        _print_shuffle_tests(models, task, device, as_json)
        return
    comparison = _compared(models, task, join_seeds=False, device=device)
    apart = comparison.warm_and_cold(task.dataset, mask)
    shown: Format = "json" if as_json else "table"
    _tell(render(comparison, cutoffs, shown, mask, apart, metrics), shown, part)


def _print_shuffle_tests(models: list[ModelRef], task: "Task", device: str, as_json: bool) -> None:
    from recformer.evaluation.evaluate import shuffle_test
    from recformer.model.device import resolve

    found = {str(model): shuffle_test(_root, model, task, resolve(device)) for model in models}
    if as_json:
        print(json.dumps({name: asdict(one) | {"loss": one.loss} for name, one in found.items()}, indent=2))
    else:
        print("\n".join(f"{name}: {one}" for name, one in found.items()))


@app.command()
def compare(
    context: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Run ids, RUN/last, checkpoint files, or baseline:NAME.", metavar="MODEL …"),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", help="Model the differences are taken to; the first that counts.")
    ] = None,
    data: DataOption = None,
    split: SplitOption = "leave_last_out",
    split_set: SplitSetOption = None,
    part: PartOption = "validation",
    time_ties: TimeTiesOption = "file",
    k: CutoffOption = "3,5,10",
    mask: MaskOption = "history",
    metrics: MetricsOption = None,
    recent: RecentOption = None,
    users: UsersOption = None,
    users_seed: UsersSeedOption = 0,
    primary: Annotated[
        str | None,
        typer.Option(
            "--primary",
            help="The metric that decides: ndcg, mrr or hr at one k; ndcg@10 where none is named.",
            metavar="METRIC@K",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option("--margin", help="Differences of the primary metric below it do not matter.", metavar="SIZE"),
    ] = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            help="Put all baselines beside the models where none of them is named.",
        ),
    ] = True,
    join_seeds: Annotated[
        bool,
        typer.Option("--join-seeds/--no-join-seeds", help="Take runs that differ in their seed alone as one model."),
    ] = True,
    slices: Annotated[
        bool,
        typer.Option("--slices", help="Also the primary metric, or those of --metrics, for groups of users and items."),
    ] = False,
    article: Annotated[
        bool, typer.Option("--article", help="The article's figures, its files' and honest ones; takes no models.")
    ] = False,
    device: DeviceOption = "auto",
    kind: Annotated[Format, typer.Option("--format", help="How to print.")] = "table",
) -> None:
    """Metrics side by side, with paired differences to one of the models."""
    from recformer.evaluation.significance import PRIMARY, asked
    from recformer.evaluation.table import checked_cutoffs

    if article:
        _refuse_beside_article(context)
        _compare_article(runs, data, device, kind)
        return
    if not runs:
        raise UsageError("name at least one run, checkpoint or baseline to compare, or use --article")
    if slices and kind in ("csv", "latex"):
        raise UsageError(
            f"--slices cannot be told in {kind}, which holds one table: use --format table, markdown or json"
        )
    question, cutoffs = asked(PRIMARY if primary is None else primary, margin), checked_cutoffs(_whole_numbers(k))
    models = [find_model(_root, name) for name in runs]
    reference = None if baseline is None else find_model(_root, baseline)
    models = models if reference is None or reference in models else [reference, *models]
    task = _task(models, data, split, part, time_ties, recent, split_set, users, users_seed)
    if baselines and not any(model.is_baseline for model in models):
        models += all_baselines()
    comparison = _compared(models, task, reference, question, join_seeds, device)
    by_all = slices and comparison.slices_of(task.dataset, metrics, mask)
    sliced = by_all or comparison.warm_and_cold(task.dataset, mask)
    _tell(render(comparison, cutoffs, kind, mask, sliced, metrics), kind, part)


def _refuse_beside_article(context: typer.Context) -> None:
    """The article's own protocols leave nothing to choose. Raises UsageError naming what was given."""
    allowed = {"context", "article", "data", "device", "kind", "runs"}
    sources = {name: context.get_parameter_source(name) for name in context.params if name not in allowed}
    given = [name for name, source in sources.items() if source is not None and source.name != "DEFAULT"]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{options} cannot stand beside --article, which has its own splits, masking and cutoffs")


def _compare_article(runs: list[str] | None, data: Path | None, device: str, kind: Format) -> None:
    """The article three ways: see recformer.evaluation.article."""
    from recformer.evaluation.article import EXPLANATIONS, article_models, article_rows
    from recformer.evaluation.evaluate import evaluate as evaluate_model
    from recformer.evaluation.report import render_article
    from recformer.model.device import resolve
    from recformer.run.overview import list_runs

    if runs:
        raise UsageError("--article finds its models itself: its imported files, and runs of its recipes. Name none")
    models = article_models(_root, list_runs(_root)[0])
    evaluations = [
        evaluate_model(
            _root, one.model, one.task(_article_dataset(one, data)), resolve(device), _progress(str(one.model))
        )
        for one in models
    ]
    print(render_article(article_rows(models, evaluations), EXPLANATIONS, kind))


def _article_dataset(one: "ArticleModel", data: Path | None) -> Any:
    """The data in `data` for a file of the article's; a run has its own, and those in `data` where its own are gone."""
    from recformer.run.find_dataset import MissingDatasetError

    if data is None or one.way == "its file":
        return _dataset_for([one.model], data)
    try:
        return _dataset_for([one.model], None)
    except MissingDatasetError:
        return _dataset(data)


@app.command()
def recommend(
    context: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(
            help="Run ids, RUN/last, or checkpoint files; with --all-users also baseline:NAME.", metavar="RUN …"
        ),
    ],
    user: Annotated[str | None, typer.Option("--user", help="User id of the dataset.", metavar="ID")] = None,
    data: DataOption = None,
    k: Annotated[int, typer.Option("--k", help="Length of the list.")] = 10,
    mask: MaskOption = "history",
    items: Annotated[
        str | None,
        typer.Option(
            *("--items", "--movies"),
            help="What if these were the latest items, oldest first? Without --user: somebody of whom no more is "
            "known, as the mean over 64 users. A comma within an id is written %2C, a percent sign %25.",
            metavar="ID,ID,…",
        ),
    ] = None,
    why: Annotated[
        str | None,
        typer.Option("--why", help="Explain this item: what becomes of it without each of the latest.", metavar="ID"),
    ] = None,
    recent: RecentOption = None,
    all_users: Annotated[
        bool,
        typer.Option("--all-users", help="Write the lists of all users, after everything that each has, into --out."),
    ] = False,
    out: Annotated[
        Path | None,
        _path(
            "--out",
            help="With --all-users: the new file, .parquet or .csv; a folder of numbered files above 10 million rows.",
            metavar="FILE",
        ),
    ] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="With --all-users: before each user's last item, as --user shows them.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """What each model would recommend to a user before the last item they had, or after items of your choice.

    With --all-users: the lists that one model gives to everybody, in a file with user_id, item_id, rank and score.
    """
    if all_users:
        if user is not None or items is not None or why is not None:
            raise UsageError("--user, --items and --why cannot stand beside --all-users, which asks for everybody")
        _recommend_to_all(runs, data, k, mask, recent, out, held_out, as_json)
        return
    if out is not None or held_out:
        raise UsageError("--out and --held-out belong to --all-users. Add it, or leave them out")
    from recformer.checkpoint.load import read_info
    from recformer.evaluation.dataset_check import knows_its_data
    from recformer.evaluation.ranks import RECENT
    from recformer.recommend.side_by_side import advise, query_of, render_advice

    if user is None and items is None:
        raise typer.BadParameter(
            "missing: name a user of the dataset, or a window (--items ID,ID,…)", context, None, "--user"
        )
    checkpoints = [find_model(_root, name) for name in runs]
    # Read before the dataset is looked for: what has no checkpoint is told that, not to name its data.
    infos = {checkpoint: read_info(checkpoint.path) for checkpoint in checkpoints if not checkpoint.is_lists}
    dataset = _dataset_for(checkpoints, data)
    question = query_of(dataset, user, k, mask, items, why, RECENT if recent is None else recent)
    advice = advise(_root, checkpoints, dataset, question)
    for checkpoint, info in infos.items():
        if not knows_its_data(_root, info, checkpoint):
            _warn(f"nothing says which data {checkpoint} is from; only its sizes fit")
    print(json.dumps(advice, indent=2) if as_json else render_advice(advice, dataset.nouns, explain=why is not None))


def _recommend_to_all(
    runs: list[str],
    data: Path | None,
    k: int,
    mask: Masking,
    recent: int | None,
    out: Path | None,
    held_out: bool,
    as_json: bool,
) -> None:
    from recformer.evaluation.ranks import RECENT
    from recformer.recommend.all_users import ListOptions, write_lists

    if out is None:
        raise UsageError("--out FILE is missing: name the new file for the lists, such as lists.parquet or lists.csv")
    if len(runs) != 1:
        raise UsageError(f"--all-users writes the lists of one model, and {len(runs)} are named. Name one")
    model = find_model(_root, runs[0])
    options = ListOptions(k, mask, RECENT if recent is None else recent, held_out)
    written = write_lists(_root, model, _dataset_for([model], data), options, out, _progress(str(model), "users"))
    if as_json:
        facts = {"files": [str(file) for file in written.files], "users": written.users, "rows": written.rows}
        print(json.dumps(facts, indent=2))
    else:
        print(f"{out}: {written.rows:,} rows, lists for {written.users:,} users by {model}")


@app.command("export")
def export_model_folder(
    model: Annotated[str, typer.Argument(help="Run id, RUN/last, or checkpoint file.", metavar="RUN")],
    to: Annotated[Path, _path("--to", help="The new folder.")],
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model into a folder for others: weights, configuration, item ids, a model card, and an example."""
    from recformer.export.model_folder import export_model

    found = find_model(_root, model)
    files = export_model(_root, found, _dataset_for([found], data), to)
    print(json.dumps({"files": [str(file) for file in files]}, indent=2) if as_json else "\n".join(map(str, files)))


@app.command("import")
def import_checkpoint(
    checkpoint: Annotated[
        Path, typer.Argument(help="File: .pth, .pt or .safetensors.", metavar="FILE", parser=expanded)
    ],
    name: Annotated[str, typer.Option("--name", help="Id of the run it becomes.", metavar="RUN_ID")],
    events: Annotated[
        list[Path] | None,
        _path(
            "--events",
            help="TensorBoard event file; files of several folders become parts called as these.",
            metavar="FILE",
        ),
    ] = None,
    data: DataOption = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="What shapes cannot tell: model.num_heads=4.", metavar="KEY=VALUE")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", help="Which weights, where the file holds several: ema, model.", metavar="WHICH"),
    ] = None,
) -> None:
    """Bring in a checkpoint (and its event files) that was made elsewhere."""
    from recformer.config import override
    from recformer.training.import_run import adopt

    changed = override({"model": {"name": "movie_transformer"}}, assignments or [])
    options = changed.pop("model")
    if changed:
        raise UsageError(f"--set {next(iter(changed))}: import takes options of the model alone, model.num_heads=4")
    dataset = None if data is None else _dataset(data)
    info = adopt(_root, checkpoint, checked_run_id(name), events or [], dataset, options, weights)
    print(f"{name}: {info.model['name']}, {info.shape.num_tokens - 2} items, {info.shape.num_users} users")


@app.command("import-lists")
def import_recommendations(
    file: Annotated[
        Path,
        typer.Argument(
            help="Recommendations: a table with user, item, and rank or score (CSV, TSV, Parquet, JSON lines), a TREC "
            "run, or a run of ranx as JSON or Parquet; also packed by gzip.",
            metavar="FILE",
            parser=expanded,
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="Id of the run they become.", metavar="RUN_ID")],
    data: DataOption = None,
    split: SplitOption = "leave_last_out",
    split_set: SplitSetOption = None,
    part: Annotated[
        Literal["test", "validation"], typer.Option("--part", help="Whose cases the lists were made for.")
    ] = "test",
    time_ties: TimeTiesOption = "file",
    user: Annotated[
        str | None, typer.Option("--user", help="Column of the user; guessed if not given.", metavar="COLUMN")
    ] = None,
    item: Annotated[str | None, typer.Option("--item", help="Column of the item.", metavar="COLUMN")] = None,
    rank: Annotated[
        str | None, typer.Option("--rank", help="Column of the rank, the lowest first.", metavar="COLUMN")
    ] = None,
    score: Annotated[
        str | None, typer.Option("--score", help="Column of the score, the highest first.", metavar="COLUMN")
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "--k",
            help="How long the lists were made: a shorter one is then all that was recommended. If not given, metrics "
            "go as far as the shortest list.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring in recommendations that were made elsewhere, to be compared like a model."""
    from recformer.data.prepared import require_split
    from recformer.evaluation.evaluate import split_of
    from recformer.evaluation.lists.import_lists import Asked, import_lists

    run_id, dataset = checked_run_id(name), _dataset(_required(data))
    require_split(split, dataset)
    asked = Asked(split_of(split, time_ties, split_set or []), part, user, item, rank, score, k)
    report = import_lists(_root, file, run_id, dataset, asked)
    if as_json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print("\n".join([f"{run_id}: {file.name}", *report.sentences(dataset.nouns.items)]))


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def _required(data: Path | None) -> Path:
    if data is None:
        raise UsageError(
            "--data DIR is missing: name the folder of a dataset (see: python -m recformer data fetch ml-100k)"
        )
    return data


def _dataset(folder: Path) -> Any:
    from recformer.data.cache import load
    from recformer.data.repeats import unanswered

    dataset = load(folder, _root.data / ".cache")
    if (question := unanswered(dataset.repeats, dataset.num_interactions, folder)) is not None:
        _warn(question)
    return dataset


def _dataset_for(models: list[ModelRef], data: Path | None) -> Any:
    """The dataset in `data`, or the one that the first run which says so was trained on."""
    from recformer.run.find_dataset import dataset_of_models

    return _dataset(data) if data is not None else dataset_of_models(_root, models)


def _task(
    models: list[ModelRef],
    data: Path | None,
    split: str,
    part: Literal["test", "validation"],
    time_ties: TimeTies,
    recent: int | None,
    split_set: list[str] | None,
    users: int | None,
    users_seed: int,
) -> "Task":
    from recformer.data.prepared import require_split
    from recformer.data.user_sample import UserSample
    from recformer.evaluation.evaluate import Task, split_of
    from recformer.evaluation.ranks import RECENT

    dataset = _dataset_for(models, data)
    require_split(split, dataset)
    options = split_of(split, time_ties, split_set or [])
    sample = None if users is None else UserSample(users, users_seed)
    return Task(dataset, options, part, RECENT if recent is None else recent, sample)


def _compared(
    models: list[ModelRef],
    task: "Task",
    reference: ModelRef | None = None,
    question: "Question | None" = None,
    join_seeds: bool = True,
    device: str = "auto",
) -> "Comparison":
    from recformer.evaluation.compare import compare
    from recformer.model.device import resolve

    comparison = compare(_root, models, task, reference, question, join_seeds, resolve(device), _progress)
    for evaluation in comparison.evaluations:
        if evaluation.not_kept:
            _warn(f"the figures of {evaluation.model.run} are not kept: {evaluation.not_kept}")
    return comparison


def _progress(what: str, noun: str = "cases") -> Any:
    """Progress on standard error where a person looks on."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{what}: {done} of {total} {noun}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


def _tell(text: str, kind: Format, part: str) -> None:
    """Print a result; below a table for people also how to take the last step."""
    step = "\nThe last step, once the choice is made: --part test" if kind == "table" and part == "validation" else ""
    print(text + step)


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--k {text!r}: write whole numbers with commas between, such as 3,5,10") from None
