"""Runs that are solved at once, and blends of runs: trained, judged, recommended, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recformer.checkpoint.load import load, read_info
from recformer.checkpoint.weights import write_best
from recformer.data.dataset import Dataset
from recformer.data.prepared import prepare
from recformer.errors import CheckpointError, UsageError
from recformer.evaluation.cases import Known
from recformer.evaluation.evaluate import Task, evaluate, split_of
from recformer.model.blend import standardised
from recformer.registry import METRICS
from recformer.run.model_ref import find_model
from recformer.run.overview import find_run
from recformer.run.paths import Root
from tests.builders import dataset_in, sequences
from tests.training_helpers import assert_clear_failure, assert_same_state, curves, run_here, small_config, train_here

TAGS = {"loss/validation", "metric/ndcg@10", "metric/hr@10", "metric/mrr@10", "duplication/window@10"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """A root with three runs: two that are solved, and one that is trained."""
    root = Root(tmp_path_factory.mktemp("blend"))
    dataset = dataset_in(root.data / "small", sequences())
    for name in ("ridge", "counts"):
        train_here(root, name, dataset, small_config(model=name))
    train_here(root, "trained", dataset, small_config())
    return root


@pytest.fixture(scope="module")
def dataset(root: Root) -> Dataset:
    return dataset_in(root.data / "again", sequences())


def blend_of(root: Root, dataset: Dataset, run_id: str, parts: list[str], **more: Any) -> None:
    model = {"name": "blend", "parts": parts, **{key: more.pop(key) for key in ("weights",) if key in more}}
    train_here(root, run_id, dataset, small_config(model=model, **more))


def ndcg_of(root: Root, run_id: str, dataset: Dataset) -> float:
    ranks = evaluate(root, find_model(root, run_id), Task(dataset, split_of("leave_last_out"))).ranks
    return float(METRICS.get("ndcg")(ranks.places("history"), 10, ranks.num_targets).mean())


@pytest.mark.parametrize("name", ["ridge", "counts"])
def test_a_solved_run_is_a_run_like_any_other(name: str, root: Root, dataset: Dataset) -> None:
    run = find_run(root, name)
    assert (run.state.name, run.checkpoints, run.resumable) == ("finished", ["best"], False)
    found = curves(root.run(name))
    assert set(found) == TAGS and all(steps == [1] for steps, _ in found.values())
    info = read_info(find_model(root, name).path)
    assert info.metrics["metric/ndcg@10"] == pytest.approx(ndcg_of(root, name, dataset))
    model, _ = load(find_model(root, name).path)
    assert type(model).__name__.lower() == name
    found = evaluate(root, find_model(root, name), Task(dataset, split_of("leave_last_out"), "test"))
    assert found.known == Known(0, 0)
    assert not found.depends_on_seed, "nothing is drawn: a difference is about the recipe"


def test_solved_again_it_is_the_same(root: Root, dataset: Dataset) -> None:
    train_here(root, "again", dataset, small_config(model="ridge", seed=7))
    states = [load(find_model(root, run).path)[0].state_dict() for run in ("ridge", "again")]
    assert_same_state(*states)


def test_what_is_solved_cannot_be_gone_on_with_or_begun_with(root: Root) -> None:
    assert_clear_failure(run_here(root.path, "train", "--resume", "ridge"), 2, "solved at once and done")
    begun = run_here(root.path, "train", "--init-from", "ridge", "--data", root.data / "small")
    assert_clear_failure(begun, 2, "ridge, which is solved at once: nothing can begin with it")


def test_a_blend_scores_the_weighted_sum_of_standardised_scores(root: Root, dataset: Dataset) -> None:
    blend_of(root, dataset, "given", ["ridge", "trained"], weights=[0.3, 0.7])
    blend, info = load(find_model(root, "given").path)
    assert info.model["weights"] == (0.3, 0.7) or info.model["weights"] == [0.3, 0.7]
    histories = prepare(dataset, split_of("leave_last_out")).histories
    cases = prepare(dataset, split_of("leave_last_out")).split.test[:20]
    users = torch.from_numpy(cases.users)
    expected, spread = torch.zeros(20, histories.num_tokens), torch.zeros(20, 1)
    for weight, run in ((0.3, "ridge"), (0.7, "trained")):
        part, _ = load(find_model(root, run).path)
        tokens = torch.from_numpy(histories.inputs(cases, part.sizes.window))
        with torch.no_grad():
            scores = part(tokens, users)
        expected += weight * standardised(scores, histories.num_items)
        spread += weight * scores[:, : histories.num_items].std(1, keepdim=True)
    with torch.no_grad():
        found = blend(torch.from_numpy(histories.inputs(cases, 50)), users)
    torch.testing.assert_close(found, spread * expected, rtol=1e-4, atol=1e-4)
    items = standardised(expected, histories.num_items)[:, : histories.num_items]
    np.testing.assert_allclose(items.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(items.std(1), 1, atol=1e-5)


def test_validation_chooses_weights_at_least_as_good_as_each_part(root: Root, dataset: Dataset) -> None:
    blend_of(root, dataset, "chosen", ["ridge", "counts", "trained"])
    info = read_info(find_model(root, "chosen").path)
    assert sum(info.model["weights"]) == pytest.approx(1) and len(info.model["weights"]) == 3
    best = max(ndcg_of(root, part, dataset) for part in ("ridge", "counts", "trained"))
    assert ndcg_of(root, "chosen", dataset) >= best - 1e-9
    assert [record["name"] for record in info.model["records"]] == ["ridge/best", "counts/best", "trained/best"]


def test_a_blend_lives_on_when_a_part_is_gone(root: Root, dataset: Dataset) -> None:
    train_here(root, "short-lived", dataset, small_config(seed=3))
    blend_of(root, dataset, "lasting", ["short-lived", "counts"], weights=[0.5, 0.5])
    before = ndcg_of(root, "lasting", dataset)
    for path in (root.model("short-lived") / "best.safetensors", root.model("short-lived") / "last.pt"):
        path.unlink()
    for stored in (root.run("lasting") / "eval").iterdir():
        stored.unlink()
    assert ndcg_of(root, "lasting", dataset) == pytest.approx(before)


def test_a_blend_has_seen_what_its_parts_have(root: Root, dataset: Dataset) -> None:
    train_here(root, "leaking", dataset, small_config(split={"name": "random_windows", "size": 5}))
    blend_of(root, dataset, "mixed", ["leaking", "counts"], weights=[0.5, 0.5], train_on="train_and_validation")
    alone, mixed = (
        evaluate(root, find_model(root, run), Task(dataset, split_of("leave_last_out"), "test")).known
        for run in ("leaking", "mixed")
    )
    assert mixed == alone and alone.trained_on


def test_what_knows_the_validation_part_does_not_choose_weights_on_it(root: Root, dataset: Dataset) -> None:
    train_here(root, "refit", dataset, small_config(train_on="train_and_validation"))
    with pytest.raises(UsageError, match="refit/best was trained on .* of the validation cases"):
        blend_of(root, dataset, "unfair", ["refit", "counts"])


def test_weights_are_chosen_only_where_validation_is_left_to_choose(root: Root, dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="nothing is left to choose a blend's weights by"):
        blend_of(root, dataset, "unchosen", ["ridge", "counts"], train_on="train_and_validation")


def test_a_blend_is_not_refitted(root: Root, dataset: Dataset) -> None:
    blend_of(root, dataset, "no-refit", ["ridge", "counts"], weights=[0.5, 0.5])
    assert_clear_failure(run_here(root.path, "train", "--refit", "no-refit"), 2, "is a blend", "refit its models")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["ridge"], "names 1 model; name two to five"),
        (["ridge", "ridge"], "names 1 model; name two to five"),
        (["ridge", "nothing"], "'nothing' is neither a run"),
    ],
)
def test_a_blend_of_too_few_or_of_what_is_not_there_is_refused(
    root: Root, dataset: Dataset, parts: list[str], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        blend_of(root, dataset, "-".join(["bad", *parts]), parts)


def test_weights_that_do_not_fit_are_refused(root: Root) -> None:
    result = run_here(
        root.path,
        "train",
        "--preset",
        "ridge",
        "--data",
        root.data / "small",
        "--set",
        "model=blend",
        "model.parts=[ridge, counts]",
        "model.weights=[1]",
    )
    assert_clear_failure(result, 2, "do not fit 2 models")


@pytest.mark.parametrize(
    "damage",
    [
        {"sizes": {"num_tokens": 10**12, "num_users": 0, "window": 5}},
        {"model": {"name": "nothing"}},
        {"model": {"name": "ridge", "decay": "x"}},
        {"digest": None},
        {"more": 1},
    ],
    ids=str,
)
def test_a_damaged_record_of_a_part_is_one_clear_error(root: Root, dataset: Dataset, damage: dict[str, Any]) -> None:
    if not root.model("whole").is_dir():
        blend_of(root, dataset, "whole", ["ridge", "counts"], weights=[0.5, 0.5])
    model, info = load(find_model(root, "whole").path)
    records = [record | damage if place == 0 else record for place, record in enumerate(info.model["records"])]
    write_best(root.model("damaged"), model, replace(info, run_id="damaged", model={**info.model, "records": records}))
    with pytest.raises(CheckpointError, match="the record of .* is damaged"):
        load(root.model("damaged") / "best.safetensors")


def test_recommendations_of_all_are_made_at_any_length(root: Root, dataset: Dataset) -> None:
    blend_of(root, dataset, "shown", ["ridge", "trained"], weights=[0.5, 0.5])
    user = str(dataset.user_ids[0])
    result = run_here(root.path, "recommend", "shown", "ridge", "counts", "--user", user, "--data", root.data / "small")
    assert result.returncode == 0, result.stderr
    assert all(f"{run}: the held-out" in result.stdout for run in ("shown", "ridge", "counts"))


def test_a_part_that_is_not_there_is_said_before_the_run_is_queued(root: Root) -> None:
    arguments = ["train", "--preset", "blend", "--data", root.data / "small", "--run-id", "never"]
    result = run_here(root.path, *arguments, "--set", "model.parts=[ridge, nobody]")
    assert_clear_failure(result, 2, "'nobody' is neither a run")
    assert not root.run("never").exists()


def test_a_blend_depends_on_the_latest_items_alone(root: Root, dataset: Dataset) -> None:
    blend_of(root, dataset, "alone", ["ridge", "counts", "trained"], weights=[0.2, 0.3, 0.5])
    blend, _ = load(find_model(root, "alone").path)
    prepared = prepare(dataset, split_of("leave_last_out"))
    cases = prepared.split.test[:8]
    tokens, users = torch.from_numpy(prepared.histories.inputs(cases, 5)), torch.from_numpy(cases.users)
    with torch.no_grad():
        together = blend(tokens, users)
        one_by_one = torch.cat([blend(tokens[[row]], users[[row]]) for row in range(8)])
        longer = blend(torch.from_numpy(prepared.histories.inputs(cases, 10_000)), users)
        nothing = blend(torch.full((1, 5), prepared.histories.sos), users[:1])
    torch.testing.assert_close(one_by_one, together, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(longer, together, rtol=1e-4, atol=1e-4)
    assert torch.isfinite(nothing).all()
