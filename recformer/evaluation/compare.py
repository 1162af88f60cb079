"""The one way to compare: models and a protocol in, one comparison out, for pages, exports, report and command line."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from recformer.data.dataset import Dataset
from recformer.errors import EvaluationError, RecformerError, UsageError
from recformer.evaluation.cases import Known
from recformer.evaluation.conclusion import Conclusion, answer, listed
from recformer.evaluation.evaluate import Task, pending_all
from recformer.evaluation.protocol import Protocol
from recformer.evaluation.ranks import Masking, Progress
from recformer.evaluation.significance import Question
from recformer.evaluation.slices import SEEN, is_few, slice_intervals, slices_of
from recformer.evaluation.store import models_tested
from recformer.evaluation.table import (
    Evaluation,
    Result,
    known_to,
    masking_of,
    metric_names,
    named,
    protocol_of_all,
    summarise,
    summarise_view,
)
from recformer.run.model_ref import ModelRef, model_label
from recformer.run.overview import RunSummary, labels_of, list_runs
from recformer.run.paths import Root

if TYPE_CHECKING:
    import torch

NOT_THE_RECIPE = {"seed", "name", "save_minutes", "save_steps"}
MADE_BY = ("init_from", "engine", "commit")
"""What a checkpoint's record says of its making, which is part of the recipe."""
Configs = Mapping[str, dict[str, Any]]
"""Run id to configuration, of runs that may be seeds of one recipe."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models side by side under one protocol."""

    members: list[list[ModelRef]]
    """Of each model what it stands for: one, or the seeds of one recipe that are taken together."""
    evaluations: list[Evaluation]
    reference: int | None = None
    """Which of the models the others are compared to."""
    question: Question = field(default_factory=Question)
    looks: int | None = None
    """How many checkpoints were looked at on a test part of the dataset so far; None where nobody counted."""
    labels: list[str] = field(default_factory=list[str])
    """What people call each model."""

    @property
    def protocol(self) -> Protocol:
        """Raises EvaluationError where the models' protocols differ."""
        return protocol_of_all(self.evaluations)

    def require_known(self, masking: Masking, cutoffs: Sequence[int]) -> None:
        """Raises EvaluationError for a cutoff that lies beyond what is known of lists that were made elsewhere."""
        limit, most = known_to(self.evaluations, masking), max(cutoffs)
        if most <= limit:
            return
        pairs = zip(self.labels, self.evaluations, strict=True)
        short = listed([label for label, evaluation in pairs if known_to([evaluation], masking) < most])
        if not limit:
            why = f"with masking {masking} nothing is left of some list, so no metric is known"
            raise EvaluationError(f"{short}: {why}. Mask less, or import lists without items that the user had before")
        raise EvaluationError(
            f"{short} has lists that are known up to K = {limit} with masking {masking}, and k = {most} is asked for",
            cli=f"Ask for less, with --k and --primary: --k {limit} --primary ndcg@{limit}",
            page=f"Choose a primary metric at k = {limit} or less",
        )

    def results(self, masking: Masking, names: Sequence[str]) -> list[Result]:
        """One result a model with `names` alone; see `table.summarise_view`."""
        return summarise_view(self.evaluations, masking, names, self.reference, self.question)

    def summary(self, cutoffs: list[int]) -> dict[str, Any]:
        """Everything there is to say at these cutoffs, as JSON; see `table.summarise`."""
        summary = summarise(self.evaluations, cutoffs, self.reference, self.question)
        each = len(summary["results"]) // len(self.labels)  # maskings
        for place, result in enumerate(summary["results"]):
            result["model"] = self.labels[place // each]
        return summary if self.looks is None else summary | {"looks_at_test": self.looks}

    def answer(self, results: Sequence[Result]) -> Conclusion:
        """What `results` with the primary metric under one masking say, in words."""
        return answer(self.labels, results, self.question, self.protocol.part, self.looks)

    def warm_and_cold(self, dataset: Dataset, masking: Masking) -> list[Result] | None:
        """The primary metric of cases whose user and item were in the training part, and of new ones, apart; None where
        few are new."""
        facts = self.evaluations[0].split_facts
        if facts is None or not facts.is_cold or self.question.k > known_to(self.evaluations, masking):
            return None
        return self.slices(dataset, self.question.primary, masking, [SEEN])

    def slices_of(self, dataset: Dataset, metrics: str | None, masking: Masking) -> list[Result]:
        """The primary metric, or those that are named ("hr,mrr") at its k, by all that is known; see `slices`."""
        question, protocol = self.question, self.protocol
        there = metric_names([question.k], protocol.time_ties, self.evaluations[0].categories)
        names = [question.primary] if metrics is None else named(there, metrics)
        return [entry for name in names for entry in self.slices(dataset, name, masking_of(name, masking))]

    def slices(
        self, dataset: Dataset, name: str, masking: Masking, dimensions: Sequence[str] | None = None
    ) -> list[Result]:
        """The metric `name` by history length, popularity and each column of categories, with counts; by all
        that is known where no `dimensions` are named."""
        first = self.evaluations[0]
        found = [] if first.facts is None else slices_of(dataset, first.facts, first.ranks)
        found = [entry for entry in found if dimensions is None or entry.dimension in dimensions]
        return [
            {
                "dimension": entry.dimension,
                "label": entry.label,
                "metric": name,
                "masking": masking,
                "cases": entry.cases,
                "few": is_few(row, entry.cases),
                "models": [
                    {"run": evaluation.model.run, "checkpoint": evaluation.model.checkpoint} | interval
                    for evaluation, interval in zip(self.evaluations, row, strict=True)
                ],
            }
            for entry, row in zip(found, slice_intervals(found, self.evaluations, name, masking), strict=True)
        ]


def compare(
    root: Root,
    models: Sequence[ModelRef],
    task: Task,
    reference: ModelRef | None = None,
    question: Question | None = None,
    seeds_joined: bool = True,
    device: "torch.device | None" = None,
    progress: Callable[[str], Progress | None] = lambda _: None,
) -> Comparison:
    """The comparison of models, each evaluated or read from the rank store.

    `reference`: one of `models`, to which differences are taken; see `comparison_of`. `seeds_joined`: whether runs that
    differ in their seed alone are one model. `progress`: given a model's name, what is told of its evaluation.
    Raises UsageError for an unknown reference and a model named twice, and RecformerError for the first that fails.
    """
    if reference is not None and reference not in models:
        raise UsageError(f"the baseline '{reference}' is none of the models: {', '.join(map(str, models))}")
    twice = [str(model) for model in dict.fromkeys(models) if models.count(model) > 1]
    if twice:
        raise UsageError(f"{', '.join(twice)} is named twice: name each model once")
    found: dict[ModelRef, Evaluation] = {}
    for model, entry in pending_all(root, models, task).items():
        if isinstance(entry, RecformerError):
            raise entry
        found[model] = entry.stored() or entry.computed(device, progress(str(model)))
    runs, _ = list_runs(root)
    comparison = comparison_of(found, reference, question, configs_of(runs) if seeds_joined else {}, labels_of(runs))
    return replace(comparison, looks=models_tested(root, task.dataset.fingerprint))


def comparison_of(
    found: Mapping[ModelRef, Evaluation],
    reference: ModelRef | None,
    question: Question | None = None,
    configs: Configs | None = None,
    names: Mapping[str, str] | None = None,
) -> Comparison:
    """The comparison of what is evaluated; seeds of one recipe are taken together where `configs` are given.

    Without a `reference` a `question` takes differences to the first model that counts, the first of all where none
    does. `names`: run id to what people call it; see `labels_of`.
    """
    members = seed_groups(list(found), configs or {})
    evaluations = [join_seeds([found[model] for model in group]) for group in members]
    place = next((place for place, group in enumerate(members) if reference in group), None)
    if place is None and question is not None:
        place = next((place for place, one in enumerate(evaluations) if one.known.trained_on == 0), 0)
    labels = [model_label(names or {}, group[0]) + seeds_in_words(len(group)) for group in members]
    return Comparison(members, evaluations, place, question or Question(), labels=labels)


def seeds_in_words(count: int) -> str:
    """What follows a model's name: " (5 seeds)"; "" for one."""
    return f" ({count} seeds)" if count > 1 else ""


def configs_of(runs: Sequence[RunSummary]) -> Configs:
    """The configurations of runs that were trained here, with what they began with, their engine and the code's commit;
    of imported ones nobody knows the whole recipe."""
    return {
        run.run_id: run.config | {name: (run.best or {}).get(name) for name in MADE_BY}
        for run in runs
        if not run.imported
    }


def recipe_of(config: dict[str, Any]) -> str:
    """A key that is equal for runs that differ in seed, name and saves alone."""
    return json.dumps({key: value for key, value in config.items() if key not in NOT_THE_RECIPE}, sort_keys=True)


def seed_groups(models: Sequence[ModelRef], configs: Configs) -> list[list[ModelRef]]:
    """The models that belong together: one recipe, several seeds, the same kind of checkpoint. Order of first mention.

    What has no configuration stands alone, and so does a seed that is there twice, the second time.
    """
    groups: dict[Any, list[ModelRef]] = {}
    for model in models:
        config = configs.get(model.run_id or "")
        key = model if config is None else (recipe_of(config), model.name)
        there = {configs[other.run_id or ""].get("seed") for other in groups.get(key, [])}
        groups.setdefault(model if config is None or config.get("seed") in there else key, []).append(model)
    return list(groups.values())


def join_seeds(evaluations: Sequence[Evaluation]) -> Evaluation:
    """Several seeds of one recipe as one model, named after the first, whose values are the mean over seeds."""
    if len(evaluations) == 1:
        return evaluations[0]
    known = [evaluation.known for evaluation in evaluations]
    return replace(
        evaluations[0],
        seeds=tuple(ranks for evaluation in evaluations for ranks in evaluation.seeds),
        known=Known(_most(one.trained_on for one in known), _most(one.validated_on for one in known)),
        data_known=all(evaluation.data_known for evaluation in evaluations),
    )


def _most(counts: Iterable[int | None]) -> int | None:
    """The largest count; None where one is not known."""
    there = list(counts)
    return None if None in there else max(count for count in there if count is not None)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each (accuracy, duplication) whether no other point is at least as good at both and better at one.

    More accuracy and less duplication are better: of (.10, .2), (.09, .1) and (.08, .3) the first two are on the front.
    """
    return [not any(_beats(other, point) for other in points) for point in points]


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other
