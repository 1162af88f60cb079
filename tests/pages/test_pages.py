"""Every page in every state it can be met in: nothing there, data but no runs, several runs, damaged records."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from recformer.checkpoint.load import load
from recformer.checkpoint.weights import write_best
from recformer.config import override, parse, parse_section
from recformer.data.assemble import read_dataset
from recformer.evaluation.compare import compare
from recformer.evaluation.evaluate import Task, evaluate
from recformer.evaluation.power import power_of
from recformer.evaluation.significance import Question
from recformer.evaluation.table import summarise
from recformer.files.names import PROJECT
from recformer.jobs.launch import submit
from recformer.run.job_records import JobRecord, write_job
from recformer.run.model_ref import all_baselines, find_model
from recformer.run.overview import find_run
from recformer.run.paths import Root
from tests.builders import dataset_in, sequences, write_ml1m
from tests.training_helpers import run_here, small_config, train_here

PAGES = ["app.py", "pages/train.py", "pages/monitor.py", "pages/compare.py", "pages/recommend.py", "pages/data.py"]
SLOW_PAGE_S = 60


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a dataset and two finished runs, of two recipes."""
    root = Root(tmp_path_factory.mktemp("trained"))
    folder = write_ml1m(root.data / "small", sequences())
    dataset = dataset_in(folder)
    for run_id, batch_size in (("first", 64), ("second", 32)):
        train_here(root, run_id, dataset, small_config(name=f"{run_id} run", batch_size=batch_size))
    return root.path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    """An empty root that the app looks at."""
    monkeypatch.setenv("RECFORMER_ROOT", str(tmp_path))
    yield Root(tmp_path)


@pytest.fixture
def full(root: Root, trained: Path) -> Root:
    """A root of its own with the dataset and the two runs."""
    shutil.copytree(trained, root.path, dirs_exist_ok=True)
    return root


def opened(page: str, query: dict[str, str] | None = None) -> AppTest:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S)
    if page != "app.py":
        app.switch_page(page)
    for name, value in (query or {}).items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def words(app: AppTest) -> str:
    """Everything a person reads on the page."""
    elements = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    return "\n".join(str(element.value) for element in elements)


@pytest.mark.parametrize("page", PAGES)
def test_with_nothing_there_a_page_offers_the_data(root: Root, page: str) -> None:
    app = opened(page)
    assert not app.error
    if page != "pages/monitor.py":
        assert "No dataset yet" in words(app)
        assert "Download ml-100k" in [button.label for button in app.button]


@pytest.mark.parametrize("page", PAGES)
def test_with_data_and_no_runs_a_page_says_what_to_do(root: Root, page: str) -> None:
    write_ml1m(root.data / "small", sequences())
    app = opened(page)
    assert not app.error
    if page in ("pages/monitor.py", "pages/compare.py", "pages/recommend.py"):
        assert app.info, words(app)


@pytest.mark.parametrize("page", PAGES)
def test_with_runs_a_page_shows_no_error(full: Root, page: str) -> None:
    assert not opened(page).error


@pytest.mark.parametrize("page", ["app.py", "pages/monitor.py"])
def test_a_damaged_record_is_named_and_hides_no_other_run(full: Root, page: str) -> None:
    (full.run("second") / "status.json").write_text('{"state": "fini')
    app = opened(page)
    assert not app.error
    assert "second" in words(app) and "damaged" in words(app)
    if page == "app.py":
        assert list(app.dataframe[0].value["run"]) == ["first run"]


def test_home_lists_runs_with_their_best_figures(full: Root) -> None:
    app = opened("app.py")
    table = app.dataframe[0].value
    assert set(table["run"]) == {"first run", "second run"}
    assert set(table["state"]) == {"finished"}
    assert table["metric/ndcg@10"].between(0, 1).all()
    assert "NDCG@10" in words(app)  # the headline, from the test ranks that training left behind


def test_compare_shows_the_numbers_of_the_evaluation(full: Root) -> None:
    dataset = dataset_in(full.data / "small")
    task = Task(dataset, parse_section("split", "leave_last_out"))
    text = words(opened("pages/compare.py"))
    for run_id in ("first", "second"):
        ranks = evaluate(full, find_model(full, run_id), task).ranks.rank_history
        assert f"{(ranks <= 10).mean():.4f}" in text  # HR@10
        assert f"{(1 / ranks * (ranks <= 10)).mean():.4f}" in text  # MRR@10


def test_compare_warns_of_a_run_that_was_trained_on_the_cases(full: Root) -> None:
    dataset = dataset_in(full.data / "small")
    train_here(full, "leaky", dataset, small_config(name="leaky", split="random_windows"))
    app = opened("pages/compare.py", {"runs": "leaky/best"})
    assert any("leaky" in warning.value and "flatter" in warning.value for warning in app.warning)


def test_faults_of_the_form_are_told_at_their_fields_and_block_the_launch(full: Root) -> None:
    app = opened("pages/train.py")
    app.number_input(key="train.fast.model.num_heads").set_value(5)
    app.text_input(key="train.fast.learning_rate").set_value("fast")
    app.run()
    faults = [error.value.replace("\\", "") for error in app.error]
    assert any("num_heads = 5 does not divide width = 32" in fault for fault in faults)
    assert any("learning_rate = 'fast'" in fault for fault in faults)
    assert app.button(key="launch.faulty").disabled


def test_counts_cannot_begin_a_head_of_two_layers_and_the_form_says_so_at_the_field(full: Root) -> None:
    app = opened("pages/train.py")
    app.text_input(key="train.fast.model.hidden_sizes").set_value("16, 16").run()
    (fault,) = [error.value.replace("\\", "") for error in app.error]
    assert fault.startswith("initialisation = 'co_occurrence': it needs one hidden layer in the head, not 2")
    assert app.button(key="launch.faulty").disabled
    app.selectbox(key="train.fast.initialisation").set_value("random").run()
    assert not app.error


def test_a_model_that_is_solved_shows_only_what_applies_to_it(full: Root) -> None:
    app = opened("pages/train.py", {"preset": "ridge"})
    labels = {widget.label for widget in [*app.text_input, *app.number_input, *app.selectbox]}
    assert {"Name", "Window", "Split", "Model", "Decay", "Regularisation", "Seed"} <= labels
    assert not {"Epochs", "Learning rate", "Loss", "Optimizer", "Engine", "Batch size"} & labels
    assert "solved at once, without steps" in words(app)
    app.selectbox(key="train.ridge.model").set_value("sasrec").run()
    assert "Epochs" in {widget.label for widget in app.number_input}


def test_a_blend_is_made_of_the_checkpoints_there_are(full: Root) -> None:
    app = opened("pages/train.py", {"preset": "blend"})
    (models,) = [box for box in app.multiselect if box.label == "Models"]
    assert any("first" in option for option in models.options)
    assert "Records" not in {widget.label for widget in app.text_input}
    assert app.button(key="launch.incomplete").disabled and not app.error
    models.set_value(["first/best", "first/last"]).run()
    assert not app.error and not app.button(key="launch").disabled
    assert "solved at once" in words(app)


def test_a_refit_begins_with_the_settings_and_the_best_epochs_of_its_run(full: Root) -> None:
    app = opened("pages/train.py", {"mode": "Refit", "refit": "first"})
    best = find_run(full, "first").best
    assert best is not None
    assert app.number_input(key="refit.first.num_epochs").value == best["epoch"]
    assert app.selectbox(key="refit.first.train_on").value == "train_and_validation"
    assert app.selectbox(key="refit.first.train_on").disabled
    assert [button.label for button in app.button if button.label == "Launch"]


def test_a_run_from_weights_has_no_other_initialisation(full: Root) -> None:
    app = opened("pages/train.py", {"mode": "Start from weights", "weights": "first/best"})
    (initialisation,) = [box for box in app.selectbox if box.label == "Initialisation"]
    assert (initialisation.value, initialisation.disabled) == ("random", True)


def test_the_summary_tells_size_and_time_before_the_launch(full: Root) -> None:
    text = words(opened("pages/train.py"))
    assert "windows/s" in text and "parameters" in text and "2 epochs on small" in text
    rate = r"(native|eager) [\d,]+"
    assert re.search(
        rf"Engine: \*\*(native|eager)\*\* \(the fastest as measured here: {rate}, {rate} windows/s\)", text
    )


def test_the_summary_says_why_the_engine_is_not_the_fastest(full: Root) -> None:
    app = opened("pages/train.py")
    app.number_input(key="train.fast.model.width").set_value(24).run()
    assert "Engine: **eager** (width = 24 is no multiple of 16). Not compiled: torch.compile takes 12 to 28 s" in words(
        app
    )
    app.number_input(key="train.fast.model.width").set_value(32)
    app.selectbox(key="train.fast.engine").set_value("compiled").run()
    assert "Engine: **compiled**, as asked for" in words(app)


def test_a_model_too_large_to_wait_for_has_no_estimate_and_can_be_launched(full: Root) -> None:
    app = opened("pages/train.py")
    app.number_input(key="train.fast.model.width").set_value(4096).run()
    text = words(app)
    assert "Too large a model to be measured while you wait" in text and "parameters" in text
    assert not app.button(key="launch").disabled


def test_a_minimum_rate_above_the_rate_is_a_fault_at_its_field(full: Root) -> None:
    app = opened("pages/train.py")
    app.text_input(key="train.fast.minimum_learning_rate").set_value("1").run()
    (fault,) = [error.value.replace("\\", "") for error in app.error]
    assert fault.startswith(
        "minimum_learning_rate = '1': it is above learning_rate = 0.007, from which one_cycle falls"
    )
    folded = [error.value for expander in app.expander for error in expander.error]
    assert not folded, "a fault within what is folded is not seen"


def test_an_article_preset_begins_with_fewer_epochs(full: Root) -> None:
    assert "20 epochs on small" in words(opened("pages/train.py", {"preset": "baseline"}))


def test_resume_offers_only_runs_that_can_go_on(full: Root) -> None:
    (full.model("second") / "last.pt").unlink()
    app = opened("pages/train.py", {"mode": "Resume"})
    assert app.selectbox(key="train.resume").options == ["first run"]


def test_the_data_page_finds_a_movie_by_a_part_of_its_title(full: Root) -> None:
    app = opened("pages/data.py")
    whole = app.dataframe[0].value
    title = str(whole["title"].iloc[3])
    app.text_input(key="item").set_value(title.upper()).run()
    assert title in set(app.dataframe[0].value["title"])
    assert len(app.dataframe[0].value) < len(whole)


def test_the_data_page_finds_every_movie_of_a_genre(full: Root) -> None:
    app = opened("pages/data.py")
    whole = app.dataframe[0].value
    app.text_input(key="item").set_value("comedy").run()
    assert len(app.dataframe[0].value) == whole["genre"].str.join(" ").str.contains("Comedy").sum() > 0


def test_repeated_rows_are_asked_about_and_the_answer_can_be_changed(root: Root) -> None:
    write_ml1m(root.data / "small", [*sequences(), *sequences()[:7]])
    app = opened("pages/data.py")
    assert "7 rows repeat" in app.warning[0].value
    app.button(key="data.repeats.drop").click().run()
    assert not app.warning
    assert "7 repeated rows are dropped" in words(app)
    app.button(key="data.repeats.keep").click().run()
    assert "7 repeated rows are kept" in words(app)


def test_the_data_page_says_how_much_is_tied_in_time(root: Root) -> None:
    write_ml1m(root.data / "small", [(user, item, 3, time // 300) for user, item, _, time in sequences()])
    assert "of interactions share user and time with another" in words(opened("pages/data.py"))


def test_the_data_page_says_what_its_users_can_show(full: Root) -> None:
    said = f"{power_of(dataset_in(full.data / 'small'))}"
    assert "30 test users show differences in NDCG@10 from" in said
    app = opened("pages/data.py")
    caption = next(caption for caption in app.caption if caption.value == said)
    assert "between Popularity and Markov chain" in caption.help


def test_a_dataset_with_a_cut_line_is_a_clear_message_on_the_page(root: Root) -> None:
    folder = write_ml1m(root.data / "small", sequences())
    ratings = folder / "ratings.dat"
    ratings.write_bytes(ratings.read_bytes()[:-8])
    app = opened("pages/data.py")
    assert len(app.error) == 1
    assert "ratings.dat, line" in app.error[0].value
    assert "Traceback" not in words(app)


def set_validation(root: Root, run_id: str, value: float) -> None:
    model, info = load(root.model(run_id) / "best.safetensors")
    write_best(root.model(run_id), model, replace(info, metrics=info.metrics | {"metric/ndcg@10": value}))
    task = Task(read_dataset(root.data / "small"), parse_section("split", "leave_last_out"))
    evaluate(root, find_model(root, run_id), task)


def headline_of(app: AppTest) -> str:
    return next(str(m.value) for m in app.markdown if "Best on" in str(m.value)).replace("\\", "")


@pytest.mark.parametrize(("first", "second", "best"), [(0.9, 0.1, "first run"), (0.1, 0.9, "second run")])
def test_home_chooses_on_validation_and_says_what_cannot_be_told_from_it(
    full: Root, first: float, second: float, best: str
) -> None:
    set_validation(full, "first", first)
    set_validation(full, "second", second)
    app = opened("app.py")
    assert f"by validation: {best}**, validation NDCG@10" in headline_of(app)
    assert "test NDCG" not in headline_of(app), "nobody looked at the test"
    assert headline_of(app).endswith("one seed: another may differ")
    other = "second run" if best == "first run" else "first run"
    said = next(text for text in words(app).splitlines() if "Not distinguishable from it" in text)
    assert other in said and best not in said
    assert "Not evaluated yet, Compare does it: EASE, Item kNN, Markov chain, Popularity and Sequential rules" in words(
        app
    )


def test_home_compare_and_the_command_line_take_seeds_together_and_say_one_figure(full: Root) -> None:
    """The luckiest of several seeds is not what a recipe is worth."""
    train_here(full, "again", dataset_in(full.data / "small"), small_config(name="first run", seed=1))
    for run_id, validated in (("first", 0.1), ("again", 0.5), ("second", 0.2)):
        set_validation(full, run_id, validated)
    task = Task(dataset_in(full.data / "small"), parse_section("split", "leave_last_out"))
    (recipe,) = compare(full, [find_model(full, run) for run in ("first", "again")], task, question=Question()).results(
        "history", ["ndcg@10"]
    )
    told = headline_of(opened("app.py"))
    assert "by validation: first run · first**" in told and told.endswith("mean of 2 seeds")
    assert f"validation NDCG@10 {recipe['metrics']['ndcg@10']['mean']:.4f} " in told
    set_validation(full, "second", 0.4)
    assert "by validation: second run**" in headline_of(opened("app.py")), "the mean over seeds chooses"
    page = opened("pages/compare.py")
    assert page.multiselect(key="compare.runs").value[:3] == ["first/best", "again/best", "second/best"]
    said = run_here(full.path, "compare", "first", "again").stdout
    figure = f"{recipe['metrics']['ndcg@10']['mean']:.4f} ["
    assert figure in said.splitlines()[1] and said.startswith("                        first run · first (2 seeds)")


def test_home_compares_what_was_stored_before_ties_in_time_were_counted(full: Root) -> None:
    (record,) = (full.run("second") / "eval").glob("best-*.json")
    stored = json.loads(record.read_text())
    assert stored["protocol"].pop("time_tied") is not None
    record.write_text(json.dumps(stored))
    assert "Not distinguishable from it" in words(opened("app.py"))


def test_home_shows_baselines_once_they_are_evaluated(full: Root) -> None:
    task = Task(dataset_in(full.data / "small"), parse_section("split", "leave_last_out"))
    for model in all_baselines():
        evaluate(full, model, task)
    app = opened("app.py")
    assert "Not evaluated yet" not in words(app)
    assert "corrected for 6 comparisons" in words(app)
    (chart,) = app.get("bidi_component")
    assert all(
        title in chart.proto.json for title in ("Popularity", "Markov chain", "Sequential rules", "Item kNN", "EASE")
    )


def test_home_names_the_best_by_validation_though_none_of_its_evaluations_is_kept(full: Root) -> None:
    set_validation(full, "first", 0.9)
    shutil.rmtree(full.run("first") / "eval")
    assert "by validation: first run**, validation NDCG@10 0.9000 · " in headline_of(opened("app.py"))


def test_home_shows_the_figure_of_the_test_where_somebody_looked_and_counts_the_looks(full: Root) -> None:
    """The best by validation is worse on the test: that chooses nothing."""
    set_validation(full, "first", 0.9)
    task = Task(dataset_in(full.data / "small"), parse_section("split", "leave_last_out"), "test")
    found = {run: evaluate(full, find_model(full, run), task) for run in ("first", "second")}
    mean = summarise([found["first"]], [10])["results"][2]["metrics"]["ndcg@10"]["mean"]
    told = headline_of(opened("app.py"))
    assert "by validation: first run**, validation NDCG@10" in told
    assert f" · test NDCG@10 {mean:.4f} " in told and "2 checkpoints looked at so far" in told


def test_the_first_comparison_has_all_baselines_and_a_link_has_what_it_names(full: Root) -> None:
    first = opened("pages/compare.py").multiselect(key="compare.runs").value
    assert first == ["first/best", "second/best", *map(str, all_baselines())]
    assert opened("pages/compare.py", {"runs": "first"}).multiselect(key="compare.runs").value == ["first/best"]


def test_home_calls_no_imported_model_the_best(full: Root) -> None:
    model, info = load(full.model("first") / "best.safetensors")
    write_best(full.model("first"), model, replace(info, imported=True))
    best = next(m.value for m in opened("app.py").markdown if "Best on" in str(m.value))
    assert "second run" in best


@pytest.mark.parametrize("evaluated", [True, False])
def test_home_leaves_out_who_has_seen_the_test_and_says_so(full: Root, evaluated: bool) -> None:
    """The best by validation began with weights that were trained on most of the test."""
    dataset = dataset_in(full.data / "small")
    train_here(full, "leaking", dataset, small_config(name="leaking run", split="random_windows"))
    for run_id, before in (("warm", "leaking/best"), ("fair", "first/best")):
        train_here(full, run_id, dataset, small_config(name=f"{run_id} run", seed=7), init_from=before)
        set_validation(full, run_id, {"warm": 0.99, "fair": 0.9}[run_id])
        if not evaluated:  # as where training was stopped
            shutil.rmtree(full.run(run_id) / "eval")
    app = opened("app.py")
    assert "by validation: fair run**, validation NDCG@10" in headline_of(app)
    assert "Left out, since they have seen held-out cases or nobody knows: warm run." in words(app)
    splits = dict(zip(app.dataframe[0].value["id"], app.dataframe[0].value["split"], strict=True))
    assert (splits["leaking"], splits["fair"]) == ("random_windows", "leave_last_out")
    assert splits["warm"] == "leave_last_out, began under another: may leak"
    (link,) = [link for link in app.get("page_link") if link.proto.label == "Compare them"]
    assert "fair" in link.proto.query_string and "warm" not in link.proto.query_string


def test_home_leaves_out_who_began_with_an_imported_file(full: Root) -> None:
    model, info = load(full.model("first") / "best.safetensors")
    write_best(full.model("first"), model, replace(info, imported=True))
    train_here(full, "warm", dataset_in(full.data / "small"), small_config(name="warm run"), init_from="first/best")
    set_validation(full, "warm", 0.99)
    app = opened("app.py")
    assert "by validation: second run**" in headline_of(app)
    table = app.dataframe[0].value.set_index("id")
    assert set(table.loc[["first", "warm"], "split"]) == {"unknown: probably leaks"}
    assert "Left out, since they have seen held-out cases or nobody knows: warm run." in words(app)


def test_home_links_to_a_comparison_of_all_that_it_shows(full: Root) -> None:
    """All seeds of its recipes and all baselines are not too many for Compare."""
    dataset = dataset_in(full.data / "small")
    for number in range(4):
        train_here(full, f"more-{number}", dataset, small_config(name=f"more {number}", seed=20 + number))
    (link,) = [link for link in opened("app.py").get("page_link") if link.proto.label == "Compare them"]
    runs = parse_qs(link.proto.query_string)["runs"]
    assert len(runs) == 6 + len(all_baselines())
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=SLOW_PAGE_S)
    app.run()
    app.switch_page("pages/compare.py")
    app.query_params["runs"] = runs
    app.run()
    assert not app.exception, app.exception
    assert not app.error, app.error[0].value
    assert app.multiselect(key="compare.runs").value == runs


def test_a_link_to_a_damaged_run_says_what_is_damaged(full: Root) -> None:
    (full.run("second") / "run.yaml").write_text("config: [")
    app = opened("pages/monitor.py", {"run": "second"})
    assert any("second cannot be shown" in error.value for error in app.error)


def test_a_link_may_name_a_run_without_its_checkpoint(full: Root) -> None:
    assert opened("pages/compare.py", {"runs": "first"}).multiselect(key="compare.runs").value == ["first/best"]


def test_faults_show_what_was_entered_literally(full: Root) -> None:
    app = opened("pages/train.py")
    app.text_input(key="train.fast.model.hidden_sizes").set_value("16, *x*").run()
    assert "\\*x\\*" in app.error[0].value
    assert "1 to 8 whole numbers" in app.error[0].value


DAMAGES = {
    "job.json": '{"command": ["python"',
    "status.json": "[]",
    "config.yaml": "name: [unclosed",
    "labels.json": '{"tags": "not a list"}',
}


def test_of_200_runs_of_which_20_are_damaged_home_lists_180_and_names_20(root: Root) -> None:
    damages = list(DAMAGES.items())
    for number in range(200):
        folder = root.run(f"run-{number:03}")
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"name: run {number}\n")
        if number % 10 == 0:
            file, text = damages[number // 10 % len(damages)]
            (folder / file).write_text(text)
    app = opened("app.py")
    assert not app.error
    damaged = {f"run-{number:03}" for number in range(0, 200, 10)}
    assert set(app.dataframe[0].value["id"]) == {f"run-{number:03}" for number in range(200)} - damaged
    text = words(app)
    assert "20 runs cannot be shown" in str(app.expander[0].label)
    for run_id in damaged:
        assert f"**{run_id}**" in text


def test_home_shows_the_processor(full: Root) -> None:
    app = opened("app.py")
    assert app.button(key="settings.open").label == "Settings"
    (load,) = [bar for bar in app.get("progress") if "Processor" in bar.proto.text]
    assert "% busy" in load.proto.text and "memory" in load.proto.text


def test_a_run_that_never_saved_can_be_started_again_from_the_page(full: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[list[str]] = []
    monkeypatch.setattr(
        "recformer.jobs.launch.launch", lambda root, run_id, arguments, device: launched.append(arguments)
    )
    run_id = submit(full, small_config(name="cancelled"), dataset_in(full.data / "small"), "cpu")
    now = time.time()
    job = JobRecord(command=["x"], device="cpu", queued_at=now, ended="cancelled", ended_at=now)
    write_job(full.run(run_id), job)
    app = opened("pages/train.py", {"mode": "Resume", "resume": run_id})
    assert "It never saved anything" in words(app)
    app.button(key="again.go").click().run()
    assert len(launched) == 2
    assert launched[1][:-1] == launched[0][:-1]  # all but the device, which was chosen anew


def test_resume_says_where_the_learning_rate_of_a_longer_cycle_goes_on(full: Root) -> None:
    dataset = dataset_in(full.data / "small")
    train_here(full, "cycle", dataset, small_config(name="cycle", schedule="one_cycle", learning_rate=0.01))
    app = opened("pages/train.py", {"mode": "Resume", "resume": "cycle"})
    assert app.number_input(key="resume.cycle.num_epochs").value == 21
    rate = 1e-6 + (0.01 - 1e-6) * (1 - 1 / 21) / 0.97  # after 1 of 21 epochs, the climb being 3%
    text = words(app)
    assert f"a cycle of 21 epochs would be, at {rate:.3g}." in text
    assert "bit for bit" not in text and "20 epochs on small, about" in text and "Engine: **native**" in text
    app.number_input(key="resume.cycle.num_epochs").set_value(1).run()
    assert "one_cycle ends" not in words(app) and "epochs on small" not in words(app)


def test_resume_says_which_edits_take_effect_and_launches_with_them(
    full: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[list[str]] = []
    monkeypatch.setattr(
        "recformer.jobs.launch.launch", lambda root, run_id, arguments, device: launched.append(arguments)
    )
    app = opened("pages/train.py", {"mode": "Resume", "resume": "first"})
    assert app.number_input(key="resume.first.batch_size").disabled
    assert app.selectbox(key="resume.first.loss").disabled
    app.text_input(key="resume.first.learning_rate").set_value("1e-5").run()
    text = words(app)
    assert "Takes effect:" in text and "Learning rate 0.0005 → 1e-05" in text
    assert "Cannot be changed here:" in text
    app.button(key="resume.go").click().run()
    assert launched[0][:3] == ["train", "--resume", "first"]
    changes = [launched[0][at + 1] for at, word in enumerate(launched[0]) if word == "--set"]
    after = parse(override(small_config().model_dump(), changes))
    assert (after.learning_rate, after.num_epochs) == (1e-5, 21)
