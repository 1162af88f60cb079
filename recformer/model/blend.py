"""Several models as one: the weighted sum of their scores."""

from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from torch import Tensor, nn

from recformer.config import Options, option, parse_section
from recformer.model.sizes import Sizes
from recformer.registry import MODELS

MOST_PARTS = 5


class PartRecord(BaseModel):
    """What a part of a blend is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """The checkpoint that it was copied from."""
    digest: str
    """Of that file then."""
    model: dict[str, Any]
    """Name and options of its model."""
    sizes: Sizes

    @field_validator("model")
    @classmethod
    def _is_a_model(cls, value: dict[str, Any]) -> dict[str, Any]:
        parse_section("model", value)
        return value


class BlendOptions(Options):
    name: str = "blend"
    parts: tuple[str, ...] = option(
        (),
        "Models",
        "The two to five models that are blended: runs (their best checkpoints) or checkpoint files.",
        shown="as models",
        max_length=MOST_PARTS,
    )
    weights: tuple[float, ...] = option(
        (),
        "Weights",
        "How much each model's scores count. None: those with the highest NDCG@10 on the validation part.",
        advanced=True,
        max_length=MOST_PARTS,
    )
    records: tuple[PartRecord, ...] = option(
        (),
        "Records",
        "What each model is; written when they are blended.",
        shown="never",
        max_length=MOST_PARTS,
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.weights and (len(self.weights) != len(self.parts) or min(self.weights) < 0 or not any(self.weights)):
            raise ValueError(
                f"weights = {list(self.weights)} do not fit {len(self.parts)} models: one each, none below 0, not all 0"
            )
        return self


@MODELS.register("blend")
class Blend(nn.Module):
    """score(j) = Σ_p w_p · (s_p(j) − mean s_p) / std s_p, with means and deviations over the items, case by case.

    As logits these are too alike: nothing would be likelier than anything else. So each case's are multiplied by
    Σ_p w_p · std s_p, as far as the parts' own logits spread, which leaves their order.
    It holds a copy of its parts' weights, so that nothing that becomes of them changes it.
    """

    Options = BlendOptions
    TRAINED_ON = "models"

    def __init__(self, options: BlendOptions, sizes: Sizes) -> None:
        super().__init__()
        self.options, self.sizes = options, sizes
        self.num_items = sizes.num_tokens - 2
        self.parts = nn.ModuleList(map(_part, options.records))

    def forward(self, tokens: Tensor, users: Tensor) -> Tensor:
        """Logits (B, V) of what comes next, from the latest tokens (B, T) and users (B,)."""
        scores = self._logits(tokens, users)
        if not scores:  # a blend before it is made
            return torch.zeros(len(tokens), self.sizes.num_tokens)
        spread = weighted([each[:, : self.num_items].std(1, keepdim=True) for each in scores], self.options.weights)
        return spread * weighted([standardised(each, self.num_items) for each in scores], self.options.weights)

    def part_scores(self, tokens: Tensor, users: Tensor) -> list[Tensor]:
        """(B, V) standardised scores of each part."""
        return [standardised(each, self.num_items) for each in self._logits(tokens, users)]

    def _logits(self, tokens: Tensor, users: Tensor) -> list[Tensor]:
        """(B, V) of each part, which reads as many of the tokens as it can."""
        return [part(tokens[:, -part.sizes.window :], users) for part in cast("list[Any]", list(self.parts))]

    @classmethod
    def shape_from(cls, state: dict[str, Tensor]) -> tuple[dict[str, object], Sizes]:
        """Raises KeyError: which models these are their tensors do not tell."""
        raise KeyError(f"blend of {len(state)} tensors")


def weighted(scores: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """The weighted sum of scores of one shape, of which there is at least one."""
    total = torch.zeros_like(scores[0])
    for weight, each in zip(weights, scores, strict=True):
        total += weight * each
    return total


def standardised(scores: Tensor, num_items: int) -> Tensor:
    """(B, V) with a mean of 0 and a variance of 1 over the items of each row; where all score alike, zeros."""
    items = scores[:, :num_items]
    return (scores - items.mean(1, keepdim=True)) / items.std(1, keepdim=True).clamp(min=1e-9)


def _part(record: PartRecord) -> nn.Module:
    options = parse_section("model", record.model)
    return MODELS.get(options.name)(options, record.sizes)
