"""A causal transformer over whole histories, trained at all positions at once: SASRec, and what was found since."""

from typing import Literal, Self, cast

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional

from recformer.config import Options, option
from recformer.model.factors import Factors
from recformer.model.sizes import Sizes
from recformer.registry import MODELS

SPREAD = 0.02  # standard deviation of weights that are drawn
BEGUN = 0.1  # and of embeddings that begin as factors; at 1 and .3 ML-1M took epochs longer
SHARPNESS = 20.0  # what cosines are multiplied by in the beginning
ROTARY_BASE = 10_000.0


class SasRecOptions(Options):
    name: str = "sasrec"
    width: int = option(64, "Embedding width", "Size of an item's vector (d).", ge=4, le=1024)
    num_layers: int = option(2, "Layers", "Transformer layers.", ge=1, le=24)
    num_heads: int = option(2, "Heads", "Attention heads; must divide the width.", ge=1, le=64)
    dropout: float = option(
        0.2, "Dropout", "Share of values dropped in embeddings and branches while training.", ge=0, lt=1
    )
    positions: Literal["learned", "rotary", "relative"] = option(
        "learned",
        "Positions",
        "How the model knows the order. learned: a vector for each place. rotary: queries and keys are turned by their "
        "place, so that what counts is how far apart two items are. relative: each head learns how much items so far "
        "apart concern each other.",
        advanced=True,
    )
    feed_forward: Literal["gelu", "swiglu"] = option(
        "gelu",
        "Feed-forward",
        "gelu: two layers, four times as wide inside. swiglu: with a gate, as many weights.",
        advanced=True,
    )
    gated_attention: bool = option(
        False,
        "Gated attention",
        "Each layer's attention is multiplied by a gate that its input opens.",
        advanced=True,
    )
    tied_output: bool = option(
        False,
        "Tied output",
        "Items are scored by the vectors they are read by, not by a table of their own.",
        advanced=True,
    )

    scores: Literal["dot", "cosine"] = option(
        "dot",
        "Scores",
        "dot: products of vectors, of which frequent items may have long ones. cosine: of their directions, times a "
        "factor that is trained.",
        advanced=True,
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.width % self.num_heads:
            raise ValueError(f"num_heads = {self.num_heads} does not divide width = {self.width}")
        if self.positions == "rotary" and self.width // self.num_heads % 2:
            raise ValueError(f"rotary positions need an even width of each head, not {self.width // self.num_heads}")
        return self


class Attention(nn.Module):
    """Causal self-attention; dropout is in the branches, not in the attention itself."""

    def __init__(self, options: SasRecOptions, window: int) -> None:
        super().__init__()
        self.num_heads, self.rotary = options.num_heads, options.positions == "rotary"
        self.qkv = nn.Linear(options.width, 3 * options.width)
        self.gate = nn.Linear(options.width, options.width) if options.gated_attention else None
        relative = options.positions == "relative"
        self.by_distance = nn.Parameter(torch.zeros(options.num_heads, window)) if relative else None
        self.out = nn.Linear(options.width, options.width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        split = self.qkv(x).view(batch, length, 3, self.num_heads, width // self.num_heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D / heads)
        if self.rotary:
            query, key = _turned(query), _turned(key)
        bias = None if self.by_distance is None else _causal_bias(self.by_distance, length)
        mixed = functional.scaled_dot_product_attention(query, key, value, bias, is_causal=bias is None)
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        return self.out(mixed if self.gate is None else mixed * torch.sigmoid(self.gate(x)))


def _turned(x: Tensor) -> Tensor:
    """(B, heads, T, W) with each pair of values, W / 2 apart, turned by its place's angle (Su et al. 2021)."""
    length, width = x.shape[-2:]
    rates = ROTARY_BASE ** (-torch.arange(0, width, 2, device=x.device) / width)
    angles = torch.arange(length, device=x.device)[:, None] * rates  # (T, W / 2)
    cosine, sine = angles.cos(), angles.sin()
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)


def _causal_bias(by_distance: Tensor, length: int) -> Tensor:
    """(heads, T, T) what is added to the attention of places (rows) to places before them, by how far those are back
    (heads, window); nothing later is attended to (Raffel et al. 2020, with a distance for each bucket)."""
    places = torch.arange(length, device=by_distance.device)
    back = places[:, None] - places
    return by_distance[:, back.clamp(min=0)].masked_fill(back < 0, -torch.inf)


class FeedForward(nn.Module):
    def __init__(self, options: SasRecOptions) -> None:
        super().__init__()
        self.gated = options.feed_forward == "swiglu"
        inner = options.width * 8 // 3 if self.gated else options.width * 4
        self.up = nn.Linear(options.width, 2 * inner if self.gated else inner)
        self.down = nn.Linear(inner, options.width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.up(x)
        if not self.gated:
            return self.down(functional.gelu(x, approximate="tanh"))
        gate, value = x.chunk(2, dim=-1)
        return self.down(functional.silu(gate) * value)


class Layer(nn.Module):
    """Pre-norm decoder layer."""

    def __init__(self, options: SasRecOptions, window: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(options.width)
        self.attention = Attention(options, window)
        self.feed_forward_norm = nn.LayerNorm(options.width)
        self.feed_forward = FeedForward(options)
        self.dropout = nn.Dropout(options.dropout)

    def attend(self, x: Tensor) -> Tensor:
        """What positions take from those before them: (B, T, D) → (B, T, D)."""
        return x + self.dropout(self.attention(self.attention_norm(x)))

    def feed(self, x: Tensor) -> Tensor:
        """What each position makes of it by itself: (…, D) → (…, D)."""
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


@MODELS.register("sasrec")
class SasRec(nn.Module):
    """Kang and McAuley 2018, with what later work found better: pre-norm, full softmax, a bias and a table of their own
    for the output (Petrov and Macdonald 2023; Klenitskiy and Vasilev 2023).

    It reads the latest items of a history, at most as many as `Sizes.window`, and knows nothing else of the user.
    """

    Options = SasRecOptions
    TRAINED_ON = "sequences"

    def __init__(self, options: SasRecOptions, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.num_items = sizes.num_tokens - 2
        width = options.width
        self.items = nn.Embedding(sizes.num_tokens, width)  # and SOS, for users without any
        self.positions = nn.Embedding(sizes.window, width) if options.positions == "learned" else None
        self.dropout = nn.Dropout(options.dropout)
        self.layers = nn.ModuleList(Layer(options, sizes.window) for _ in range(options.num_layers))
        self.norm = nn.LayerNorm(width)
        self.output = None if options.tied_output else nn.Parameter(torch.empty(self.num_items, width))
        self.bias = nn.Parameter(torch.zeros(self.num_items))
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS)) if options.scores == "cosine" else None
        self._initialise()

    @property
    def output_weight(self) -> Tensor:
        """(I, D) what `hidden` is multiplied with."""
        weight = self.items.weight[: self.num_items] if self.output is None else self.output
        return weight if self.sharpness is None else functional.normalize(weight, dim=1) * self.sharpness

    def hidden(self, tokens: Tensor, at: Tensor | None = None) -> Tensor:
        """What the model makes of each position and those before it: (B, T) int → (B, T, D); of one position of each
        row alone, (B,) int → (B, D), in less time."""
        x = self.items(tokens)
        if self.positions is not None:
            x = x + self.positions.weight[: tokens.shape[1]]
        x = self.dropout(x)
        *layers, last = (cast("Layer", layer) for layer in self.layers)
        for layer in layers:
            x = layer.feed(layer.attend(x))
        x = last.attend(x)
        if at is not None:
            x = x[torch.arange(len(x), device=x.device), at]
        x = self.norm(last.feed(x))
        return x if self.sharpness is None else functional.normalize(x, dim=-1)

    def forward(self, tokens: Tensor, users: Tensor) -> Tensor:  # noqa: ARG002  one signature for every model
        """Logits of what comes next; SOS and EOS come last.

        Args:
            tokens: (B, T) int, the latest tokens of each history; SOS in front where there are fewer.
            users: (B,) int, not read.

        Returns:
            (B, V) float.
        """
        tokens = tokens[:, -self.sizes.window :].long()
        filled = (tokens == self.num_items).cumprod(1).sum(1).sub(1).clamp(min=0)  # SOS before SOS
        places = torch.arange(tokens.shape[1], device=tokens.device)
        # What is in front goes behind, where nothing that is read looks: each history begins at the first position.
        tokens = tokens.gather(1, (places + filled[:, None]) % tokens.shape[1])
        longest = tokens.shape[1] - int(filled.min())
        last = self.hidden(tokens[:, :longest], places[-1] - filled)  # (B, D)
        scores = torch.addmm(self.bias, last, self.output_weight.T)  # (B, I)
        return torch.cat([scores, scores.detach().min(1, keepdim=True).values.expand(-1, 2) - 1], dim=1)

    @staticmethod
    def why_no_factors(options: SasRecOptions) -> str | None:
        """Why a model with these options cannot `begin_with` factors; None where it can."""
        return "it needs an output table of its own (model.tied_output=false)" if options.tied_output else None

    @property
    def factor_rank(self) -> int:
        """R: how many columns of factors it has room for."""
        return self.items.embedding_dim

    @torch.no_grad()
    def begin_with(self, factors: Factors) -> None:
        """Begin as a model of the last item alone: embeddings and output become factors, the bias log popularity.

        The last layer norm brings what comes from the embeddings to a spread of 1, so the output table takes theirs,
        and products keep their size. The embeddings are small: what the layers add to them must count from the start.
        """
        before, after = factors.before[: self.num_items], factors.after[: self.num_items]
        spread = before.std().clamp(min=1e-6)
        self.items.weight[: self.num_items] = before * (BEGUN / spread)
        if self.output is not None:
            self.output.copy_(after * spread)
        self.begin_with_popularity(factors.log_popularity)

    @torch.no_grad()
    def begin_with_popularity(self, log_popularity: Tensor) -> None:
        """Begin with each item as likely as it is frequent: (V,) float."""
        self.bias.copy_(log_popularity[: self.num_items])

    @classmethod
    def shape_from(cls, state: dict[str, Tensor]) -> tuple[dict[str, object], Sizes]:
        """Options and sizes that a state dict's shapes tell. Raises KeyError or ValueError where they are another's."""
        num_tokens, width = state["items.weight"].shape
        if state["bias"].shape[0] != num_tokens - 2:
            raise ValueError("SOS and EOS are never scored")
        learned, by_distance = state.get("positions.weight"), state.get("layers.0.attention.by_distance")
        options: dict[str, object] = {
            "name": "sasrec",
            "width": width,
            "num_layers": len({key.split(".")[1] for key in state if key.startswith("layers.")}),
            "positions": "learned" if learned is not None else "rotary" if by_distance is None else "relative",
            "feed_forward": "gelu" if state["layers.0.feed_forward.up.weight"].shape[0] == 4 * width else "swiglu",
            "gated_attention": "layers.0.attention.gate.weight" in state,
            "tied_output": "output" not in state,
            "scores": "cosine" if "sharpness" in state else "dot",
        }
        window = 200 if by_distance is None else by_distance.shape[1]
        window = window if learned is None else learned.shape[0]
        return options, Sizes(num_tokens, 0, window)

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=SPREAD)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        if self.output is not None:
            nn.init.normal_(self.output, std=SPREAD)
