"""What an error of the command line says to do is done, word for word; then the command works."""

import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from recformer.data.dataset import Dataset
from recformer.data.sources import download
from recformer.errors import RecformerError
from recformer.loss.cross_entropy import CrossEntropy
from recformer.run.paths import Root
from recformer.run.record import RunDataset, read_record, write_record
from tests.builders import SMALL, dataset_in, sequences, write_ml1m, write_ml100k
from tests.training_helpers import (
    SMALL_MODEL,
    SMALL_SET,
    run_here,
    save_untrained,
    sizes_for,
    small_config,
    small_model,
    spoil,
    train_here,
)

PRESET = ["--set", "num_epochs=1", "batch_size=64", "engine=native", *SMALL_SET]
SAME = ", with the same --set"
Command = list[object]


@dataclass(frozen=True)
class Here:
    """A root with run `one`, trained for an epoch on the data in data/small, and a folder for anything else."""

    root: Root
    data: Path
    elsewhere: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def config(self) -> Path:
        return self.root.run("one") / "run.yaml"

    def dataset(self) -> Dataset:
        return dataset_in(self.data)

    def move_data(self) -> None:
        shutil.move(self.data, self.elsewhere / "small")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Root:
    root = Root(tmp_path_factory.mktemp("trained"))
    dataset = dataset_in(root.data / "small")
    train_here(root, "one", dataset, small_config())
    return root


@pytest.fixture
def here(trained: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    root = Root(tmp_path / "a root")  # a blank within a path must not break a command
    shutil.copytree(trained.path, root.path)
    (tmp_path / "elsewhere").mkdir()
    return Here(root, root.data / "small", tmp_path / "elsewhere", monkeypatch)


@dataclass(frozen=True)
class Case:
    """A command that fails as `arrange` leaves things, and the words of its message that say what to do."""

    arrange: Callable[[Here], Command]
    remedy: str
    """As it stands in the message, but for `{root}`."""
    added: str | None = None
    """What is added to the command, where that is another part of the message than a whole command; `remedy` then
    says it in words."""
    fill: dict[str, str] = field(default_factory=dict[str, str])
    """What a person puts in the place of words such as NAME; DIR is the folder of the data."""
    more: str = ""
    """What the remedy leaves to choice and keeps a test short."""
    without: str | None = None
    """An option that is left out, with its value."""
    left_out: str | None = None
    """A model that is left out."""


def followed(here: Here, case: Case, command: Command) -> list[str]:
    """The command that a person types who does what the message says."""
    data = here.data if here.data.is_dir() else here.elsewhere / "small"
    fill = {"DIR": str(data), "NAME": "new", "ID": "new"} | case.fill
    given = [word for word in map(str, command) if word != case.left_out]
    if case.without is not None:
        place = given.index(case.without)
        given = [*given[:place], *given[place + 2 :]]
    words = shlex.split(shown(here, case.remedy).removesuffix(SAME) if case.added is None else case.added)
    words = [fill.get(word, word) for word in words]
    if words and words[0] in ("train", "import", "runs", "data"):
        return [*words, *shlex.split(case.more), *(given[given.index("--set") :] if case.remedy.endswith(SAME) else [])]
    return [*given, *words]


def shown(here: Here, remedy: str) -> str:
    return remedy.replace("{root}", str(here.root.path))


def assert_works(here: Here, command: list[str]) -> None:
    result = run_here(here.root.path, *command)
    assert result.returncode == 0, (command, result.stderr)
    assert "error" not in result.stderr


# What is in the way, and the command that meets it.


def resume(*changes: str) -> Callable[[Here], Command]:
    return lambda _: ["train", "--resume", "one", *(["--set", *changes] if changes else []), "--device", "cpu"]


def typed(*words: object) -> Callable[[Here], Command]:
    return lambda _: list(words)


def another(*words: object) -> Callable[[Here], Command]:
    """A new run, by words that say too little or too much of it."""
    return lambda here: ["train", "--data", here.data, "--device", "cpu", *words]


def damaged_saves(here: Here) -> Command:
    for name in ("last.pt", "previous.pt"):
        (here.root.model("one") / name).write_bytes(b"")
    return ["train", "--resume", "one"]


def no_saves(here: Here) -> Command:
    for path in here.root.model("one").glob("*.pt"):
        path.unlink()
    return ["train", "--resume", "one"]


def no_configuration(here: Here) -> Command:
    here.config.unlink()
    return ["train", "--resume", "one"]


def only_a_log(here: Here) -> Command:
    shutil.rmtree(here.root.model("one"))
    here.config.unlink()
    return ["train", "--resume", "one"]


def best_alone(here: Here) -> Command:
    no_saves(here)
    return ["train", "--preset", "baseline", *PRESET, "--data", here.data, "--run-id", "one"]


def say_dataset(here: Here, dataset: RunDataset | None) -> None:
    record = read_record(here.root.run("one"))
    assert record is not None
    write_record(here.root, "one", record.model_copy(update={"dataset": dataset}))


def no_origin(here: Here) -> Command:
    say_dataset(here, None)
    return resume("num_epochs=2")(here)


def other_data(here: Here) -> Command:
    here.move_data()
    write_ml1m(here.data, sequences(seed=1))
    return resume("num_epochs=2")(here)


def moved(*words: object) -> Callable[[Here], Command]:
    def arrange(here: Here) -> Command:
        here.move_data()
        return list(words)

    return arrange


def moved_from_recipe(here: Here) -> Command:
    """The data of a run that shows a recipe of the article's."""
    recipe = small_config(model=SMALL_MODEL | {"width": 32}, batch_size=512, engine="eager")
    train_here(here.root, "recipe", here.dataset(), recipe)
    here.move_data()
    return ["compare", "--article"]


def imported(here: Here) -> Command:
    save_untrained(here.root, "imported", here.dataset(), split=None)
    return ["evaluate", "imported"]


def several_weights(*words: object) -> Callable[[Here], Command]:
    def arrange(here: Here) -> Command:
        states = [small_model(sizes_for(here.dataset()), seed=seed).state_dict() for seed in (0, 1)]
        torch.save({"model": states[0], "ema": states[1]}, here.root.path / "some weights.pt")
        return [words[0], here.root.path / "some weights.pt", *words[1:]]

    return arrange


def bare_weights(*words: object) -> Callable[[Here], Command]:
    def arrange(here: Here) -> Command:
        torch.save(small_model(sizes_for(here.dataset())).state_dict(), here.root.path / "bare.pt")
        return ["import", here.root.path / "bare.pt", *words]

    return arrange


def no_host(here: Here) -> Command:
    def refuse(*_: object) -> None:
        raise download.DownloadError("no network")

    here.monkeypatch.setattr(download, "fetch_archive", lambda *_: refuse_host())
    here.monkeypatch.setattr(download, "run_pip", refuse)
    return ["data", "fetch", "ml-100k"]


def refuse_host() -> None:
    raise download.HostError("no network")


def spoiled(words: Command) -> Callable[[Here], Command]:
    def arrange(here: Here) -> Command:
        save_untrained(here.root, "spoiled", here.dataset())
        spoil(here.root, "spoiled")
        return list(words)

    return arrange


RECOMMEND: Command = ["recommend", "one", "spoiled", "--user", 101]
OF_TRAINING = {
    "the last saves are damaged": Case(damaged_saves, "train --init-from one/best --data DIR"),
    "no last.pt": Case(no_saves, "train --init-from one --data DIR"),
    "no run.yaml": Case(no_configuration, "train --init-from one --data DIR"),
    "nothing but a log": Case(
        only_a_log,
        "train --preset NAME --data DIR",
        more=shlex.join(PRESET),
        fill={"NAME": "baseline"},
    ),
    "another batch size": Case(
        resume("num_epochs=2", "batch_size=32"), "train --init-from one --data DIR, with the same --set"
    ),
    "another model": Case(
        resume("engine=eager", "model.dropout=0.5"),
        "train --config '{root}/runs/one/run.yaml' --data DIR, with the same --set",
    ),
    "the run is there": Case(
        another("--preset", "baseline", *PRESET, "--run-id", "one"), "train --resume one --set num_epochs=2"
    ),
    "the run is there, another id": Case(
        another("--preset", "baseline", *PRESET, "--run-id", "one"),
        "for a new run choose another --run-id",
        added="--run-id ID",
        without="--run-id",
    ),
    "only its best weights are there": Case(best_alone, "train --data DIR --init-from one"),
    "trained to its end": Case(resume(), "Add --set num_epochs=2", added="--set num_epochs=2"),
    "not so few epochs": Case(resume("num_epochs=1"), "Add --set num_epochs=2", added="--set num_epochs=2"),
    "the data are not known": Case(no_origin, "Name its dataset with --data", added="--data DIR"),
    "other data are in their place": Case(
        other_data, "say where they are: --data DIR", added="--data DIR", fill={"DIR": "MOVED"}
    ),
    "the data were moved": Case(
        moved("train", "--resume", "one", "--set", "num_epochs=2", "--device", "cpu"),
        "Say where it is: --data DIR",
        added="--data DIR",
    ),
    "a GPU that is not there": Case(
        another("--preset", "baseline", *PRESET, "--device", "cuda:9"),
        "Use --device auto or --device cpu",
        added="--device cpu",
    ),
    "two configurations": Case(
        lambda here: another("--preset", "baseline", "--config", here.config)(here),
        "Name one of --preset, --config and --refit",
        added="",
        without="--preset",
    ),
    "no such folder": Case(
        lambda here: ["train", "--preset", "baseline", *PRESET, "--data", here.elsewhere / "none", "--device", "cpu"],
        "Name the folder of a dataset with --data",
        added="--data DIR",
    ),
    "no data": Case(
        typed("train", "--preset", "baseline", *PRESET, "--device", "cpu"), "--data DIR is missing", added="--data DIR"
    ),
}
OF_TRAINING |= {
    f"no configuration, {name}": Case(another("--set", *PRESET[1:]), words, added=words, fill=fill)
    for name, words, fill in [
        ("preset", "--preset NAME", {"NAME": "baseline"}),
        ("file", "--config FILE", {"FILE": "CONFIG"}),
        ("weights", "--init-from CHECKPOINT", {"CHECKPOINT": "one"}),
    ]
}
OF_QUESTIONS = {
    f"the data were moved, {words[0]}": Case(moved(*words), "Say where it is: --data DIR", added="--data DIR")
    for words in (
        ["evaluate", "one"],
        ["compare", "one"],
        ["recommend", "one", "--user", 101],
    )
}
OF_QUESTIONS |= {
    "the data were moved, article": Case(moved_from_recipe, "Say where it is: --data DIR", added="--data DIR"),
    "a model that does not say its data": Case(imported, "Name its folder: --data DIR", added="--data DIR"),
    "no GPU": Case(
        typed("evaluate", "one", "--device", "cuda:9"), "Use --device auto or --device cpu", added="--device auto"
    ),
    "nobody is asked about": Case(typed("recommend", "one"), "--user", added="--user ID", fill={"ID": "101"}),
    "no items are named": Case(
        typed("recommend", "one"), "--items ID,ID", added="--items ID,ID", fill={"ID,ID": "10,17"}
    ),
    "one table for many": Case(
        typed("compare", "one", "--slices", "--format", "csv"), "use --format table, markdown", added="--format json"
    ),
}
OF_FILES = {
    "several sets of weights": Case(
        several_weights("import", "--name", "new"), "import '{root}/some weights.pt' --name NAME --weights model"
    ),
    "several sets of weights, asked": Case(
        lambda here: [*several_weights("evaluate")(here), "--data", here.data],
        "import '{root}/some weights.pt' --name NAME --weights model",
    ),
    "no such weights": Case(
        several_weights("import", "--name", "new", "--weights", "swa"), "allowed: model, ema", added="--weights ema"
    ),
    "heads that do not fit": Case(
        bare_weights("--name", "new", "--set", "model.num_heads=3"),
        "--set model.num_heads=N",
        added="--set model.num_heads=2",
    ),
    "heads and several weights": Case(
        several_weights("import", "--name", "new", "--weights", "ema", "--set", "model.num_heads=3"),
        "--set model.num_heads=N",
        added="--set model.num_heads=2",
    ),
    "an option of no model": Case(
        bare_weights("--name", "new", "--set", "seed=4"),
        "model.num_heads=4",
        added="--set model.num_heads=2",
        without="--set",
    ),
    "the name is taken": Case(
        bare_weights("--name", "one"), "Choose another --name", added="--name NAME", without="--name"
    ),
    "no entry of the bin": Case(typed("runs", "restore", "one"), "runs bin"),
    "nobody to ask": Case(typed("runs", "delete", "one"), "add --yes", added="--yes"),
}
LEAVE_OUT = "spoiled/best gives scores that are not numbers: its weights are damaged or diverged. Leave it out"
OF_QUESTIONS |= {
    f"weights that are not numbers, {words[0]}": Case(spoiled(words), LEAVE_OUT, added="", left_out="spoiled")
    for words in (["evaluate", "one", "spoiled"], ["compare", "one", "spoiled"], RECOMMEND)
}
CASES = OF_TRAINING | OF_QUESTIONS | OF_FILES


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_an_error_says_to_do_works(here: Here, case: Case) -> None:
    command = case.arrange(here)
    result = run_here(here.root.path, *command)
    assert result.returncode != 0
    assert shown(here, case.remedy) in " ".join(result.stderr.split())
    places = {"MOVED": str(here.elsewhere / "small"), "CONFIG": str(here.config)}
    assert_works(here, [places.get(word, word) for word in followed(here, case, command)])


def test_a_download_that_fails_is_done_by_hand(here: Here) -> None:
    result = run_here(here.root.path, *no_host(here))
    assert result.returncode == 1
    assert f"Unpack it into {here.root.data}, or elsewhere and say where: --data DIR" in result.stderr
    write_ml100k(here.root.data / "ml-100k", SMALL)
    assert_works(here, ["data", "fetch", "ml-100k"])
    write_ml100k(here.elsewhere / "ml-100k", sequences())
    assert_works(here, ["evaluate", "baseline:popularity", "--data", str(here.elsewhere / "ml-100k")])


def test_data_that_are_to_be_fetched_are_found_where_they_come_to_lie(here: Here) -> None:
    say_dataset(here, RunDataset(name="ml-100k", fingerprint=here.dataset().fingerprint, path="data/ml-1m/../small"))
    here.move_data()
    result = run_here(here.root.path, "evaluate", "one")
    assert "Fetch it: data fetch ml-100k, or say where it is: --data DIR" in result.stderr
    shutil.move(here.elsewhere / "small", here.root.data / "ml-100k")  # what fetching it would put there
    assert_works(here, ["data", "fetch", "ml-100k"])
    assert_works(here, ["evaluate", "one"])


def test_memory_that_ran_out_is_enough_for_smaller_batches(here: Here) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    with here.monkeypatch.context() as patched:
        patched.setattr(CrossEntropy, "__call__", fail)
        with pytest.raises(RecformerError) as caught:
            train_here(here.root, "one", here.dataset(), small_config(num_epochs=2), resume=True)
    remedy = "train --init-from one --data DIR --set batch_size=32"
    assert str(caught.value).endswith(remedy)
    assert_works(here, shlex.split(remedy.replace("DIR", shlex.quote(str(here.data)))))


def test_memory_that_ran_out_before_anything_was_saved_is_enough_for_smaller_batches(here: Here) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    with here.monkeypatch.context() as patched:
        patched.setattr(CrossEntropy, "__call__", fail)
        with pytest.raises(RecformerError) as caught:
            train_here(here.root, "new", here.dataset(), small_config())
    config = shlex.quote(str(here.root.run("new") / "run.yaml"))
    remedy = f"train --config {config} --data DIR --set batch_size=32"
    assert str(caught.value).endswith(remedy)
    assert_works(here, shlex.split(remedy.replace("DIR", shlex.quote(str(here.data)))))
