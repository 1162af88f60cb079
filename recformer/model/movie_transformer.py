"""The article's model: a causal pre-norm transformer over the window, the user beside each position, an MLP head."""

from typing import Self, cast

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional

from recformer.config import Options, option
from recformer.model.factors import Factors
from recformer.model.sizes import Sizes
from recformer.registry import MODELS

INITIAL_RANGE = 0.1  # the article draws token, user and head weights uniformly from ±0.1
MARGIN = 2.0  # by which a head that begins with factors stays above the bend of its ReLU, in standard deviations
USER_EVIDENCE, USER_SPREAD = 2.0, 0.5  # the user beside a window's tokens; spread of the weights of users
AT_ONCE = 500  # windows of those that a model begins with: wide models need a megabyte for each
REPEAT_SCALE = 10.0  # Adam moves a weight by about the learning rate a step; a logit has to move by several units


class MovieTransformerOptions(Options):
    name: str = "movie_transformer"
    width: int = option(32, "Width", "Size of a token's vector (d).", ge=1, le=4096)
    user_width: int = option(32, "User width", "Size of a user's vector.", ge=1, le=4096)
    num_layers: int = option(4, "Layers", "Transformer layers.", ge=1, le=48)
    num_heads: int = option(4, "Heads", "Attention heads; must divide the width.", ge=1, le=64)
    hidden_sizes: tuple[int, ...] = option(
        (16,),
        "Hidden sizes",
        "Widths of the head's hidden layers, comma-separated, each 1 to 65,536.",
        min_length=1,
        max_length=8,
    )
    dropout: float = option(
        0.1,
        "Dropout",
        "Share of values dropped in embedding, attention and residuals while training.",
        ge=0,
        lt=1,
    )
    repeat_bias: bool = option(
        False,
        "Repeat bias",
        "Learns one number for each position of the window: how much more or less likely the item there is to come "
        "again. The article's model has none, and its narrow head cannot single out the items of the window.",
        advanced=True,
    )
    layer_norm_epsilon: float = option(
        1e-5, "Layer-norm epsilon", "Added to the variance.", advanced=True, gt=0, le=0.1
    )

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.width % self.num_heads:
            divisors = ", ".join(str(n) for n in range(1, min(self.width, 64) + 1) if self.width % n == 0)
            raise ValueError(
                f"num_heads = {self.num_heads} does not divide width = {self.width}; allowed num_heads: {divisors}"
            )
        if any(size < 1 or size > 65_536 for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes = {list(self.hidden_sizes)}: each must be 1 to 65536")
        return self


class Attention(nn.Module):
    """Causal self-attention with one fused projection to queries, keys and values."""

    def __init__(self, options: MovieTransformerOptions) -> None:
        super().__init__()
        self.num_heads = options.num_heads
        self.dropout = options.dropout
        self.qkv = nn.Linear(options.width, 3 * options.width)
        self.out = nn.Linear(options.width, options.width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        split = self.qkv(x).view(batch, tokens, 3, self.num_heads, width // self.num_heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D / heads)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))


class FeedForward(nn.Module):
    """Two linear layers with a tanh-approximated GELU between, four times as wide inside."""

    def __init__(self, options: MovieTransformerOptions) -> None:
        super().__init__()
        self.fc1 = nn.Linear(options.width, 4 * options.width)
        self.fc2 = nn.Linear(4 * options.width, options.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))


class Layer(nn.Module):
    """Pre-norm encoder layer."""

    def __init__(self, options: MovieTransformerOptions) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(options.width, eps=options.layer_norm_epsilon)
        self.attention = Attention(options)
        self.layer_norm2 = nn.LayerNorm(options.width, eps=options.layer_norm_epsilon)
        self.mlp = FeedForward(options)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.layer_norm1(x)))
        return x + self.dropout(self.mlp(self.layer_norm2(x)))


class Encoder(nn.Module):
    """Token and position embeddings, then the layers."""

    positional_ids: Tensor

    def __init__(self, options: MovieTransformerOptions, sizes: Sizes) -> None:
        super().__init__()
        self.register_buffer("positional_ids", torch.arange(sizes.window).unsqueeze(0))  # in the article's files
        self.token_embedding = nn.Embedding(sizes.num_tokens, options.width)
        self.positional_embedding = nn.Embedding(sizes.window, options.width)
        self.dropout = nn.Dropout(options.dropout)
        self.layers = nn.ModuleList(Layer(options) for _ in range(options.num_layers))
        self.layer_norm = nn.LayerNorm(options.width, eps=options.layer_norm_epsilon)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.dropout(self.token_embedding(tokens) + self.positional_embedding(self.positional_ids))  # (B, T, D)
        for layer in self.layers:
            x = layer(x)
        return self.layer_norm(x)


class Head(nn.Module):
    """MLP from the flattened window to one logit a token; the last layer has no bias."""

    def __init__(self, in_width: int, hidden_sizes: tuple[int, ...], num_tokens: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in hidden_sizes:
            layers += [nn.Linear(in_width, size), nn.ReLU()]
            in_width = size
        self.fc_layers = nn.Sequential(*layers, nn.Linear(in_width, num_tokens, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc_layers(x)


@MODELS.register("movie_transformer")
class MovieTransformer(nn.Module):
    """The article's MovieLensTransformer, with the state-dict keys of its published files.

    With `repeat_bias` one more weight a position is added to the logit of the token that stands there, so that whether
    people repeat is learned apart from what they like, as in RepeatNet (Ren et al. 2019).
    """

    Options = MovieTransformerOptions
    TRAINED_ON = "windows"

    def __init__(self, options: MovieTransformerOptions, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.movie_transformer = Encoder(options, sizes)
        self.user_embedding = nn.Embedding(sizes.num_users, options.user_width)
        head_input = sizes.window * (options.width + options.user_width)
        self.output_layer = Head(head_input, options.hidden_sizes, sizes.num_tokens)
        self.repeat_bias = nn.Parameter(torch.zeros(sizes.window)) if options.repeat_bias else None
        self._initialise()

    def forward(self, tokens: Tensor, users: Tensor) -> Tensor:
        """Logits of the next token.

        Args:
            tokens: (B, T) int, item tokens, SOS or EOS.
            users: (B,) int, user tokens.

        Returns:
            (B, V) float.
        """
        logits = self.output_layer(self._joint(tokens, users))  # (B, V)
        if self.repeat_bias is None:
            return logits
        return logits.scatter_add(1, tokens.long(), REPEAT_SCALE * self.repeat_bias.expand(len(tokens), -1))

    def _joint(self, tokens: Tensor, users: Tensor) -> Tensor:
        """What the head reads: each token of the window with the user beside it, (B, T · (D + D_user))."""
        encoded = self.movie_transformer(tokens)  # (B, T, D)
        user = self.user_embedding(users).unsqueeze(1).expand(-1, encoded.shape[1], -1)  # (B, T, D_user)
        return torch.cat([encoded, user], dim=-1).flatten(1)

    @staticmethod
    def why_no_factors(options: MovieTransformerOptions) -> str | None:
        """Why a model with these options cannot `begin_with` factors; None where it can."""
        count = len(options.hidden_sizes)
        return None if count == 1 else f"it needs one hidden layer in the head, not {count} (model.hidden_sizes)"

    @property
    def factor_rank(self) -> int:
        """R: how many columns of factors it has room for."""
        return max(self.movie_transformer.token_embedding.embedding_dim, self.user_embedding.embedding_dim)

    @torch.no_grad()
    def begin_with(self, factors: Factors, recency: Tensor, tokens: Tensor, users: Tensor) -> None:
        """Begin as a sum of evidence: the window's tokens, by their recency, and the user say how likely is what next.

        Embeddings become factors; the head's hidden units add up one factor each, the last stays at 1 and carries
        popularity; the output layer multiplies by the factors of targets. Units that are left over stay as drawn and
        are not listened to yet. So does what the encoder's layers add.

        Args:
            factors: with R = `factor_rank` columns.
            recency: (T,) float, weight of each position.
            tokens: (N, T) int, windows by which the spread of hidden units is measured.
            users: (N,) int, their users.
        """
        embedding, layers = self.movie_transformer.token_embedding, self.output_layer.fc_layers
        hidden, out = cast(nn.Linear, layers[0]), cast(nn.Linear, layers[2])
        width, user_width = embedding.embedding_dim, self.user_embedding.embedding_dim
        spread, user_spread = (part.std().clamp(min=1e-6) for part in (factors.before, factors.users))
        embedding.weight.copy_(factors.before[:, :width] / spread)
        self.user_embedding.weight.copy_(factors.users[:, :user_width] / user_spread * USER_SPREAD)

        units = torch.arange(min(hidden.out_features - 1, width, user_width))
        weight = hidden.weight.view(hidden.out_features, self.sizes.window, width + user_width)
        weight[units], weight[-1] = 0.0, 0.0
        weight[units, :, units] = recency * spread
        weight[units, :, width + units] = USER_EVIDENCE * user_spread / USER_SPREAD / self.sizes.window
        training = self.training
        self.eval()
        parts = zip(tokens.split(AT_ONCE), users.split(AT_ONCE), strict=True)
        evidence = torch.cat([self._joint(*part) @ hidden.weight[units].T for part in parts])  # (N, units)
        self.train(training)
        mean = evidence.mean(0)
        scale = (evidence - mean).square().mean(0).sqrt().clamp(min=1e-6)
        weight[units] /= scale[:, None, None]
        hidden.bias[units] = MARGIN - mean / scale
        hidden.bias[-1] = 1.0

        out.weight.zero_()
        out.weight[:, units] = factors.after[:, units] * scale
        out.weight[:, -1] = factors.log_popularity - MARGIN * out.weight[:, units].sum(1)

    @classmethod
    def shape_from(cls, state: dict[str, Tensor]) -> tuple[dict[str, object], Sizes]:
        """Options and sizes that a state dict's shapes tell; the number of heads is in no shape and is left out.

        Raises KeyError or ValueError where the keys are not this model's.
        """
        num_tokens, width = state["movie_transformer.token_embedding.weight"].shape
        num_users, user_width = state["user_embedding.weight"].shape
        window = state["movie_transformer.positional_embedding.weight"].shape[0]
        layers = {key.split(".")[2] for key in state if key.startswith("movie_transformer.layers.")}
        linear = sorted(int(key.split(".")[2]) for key in state if key.startswith("output_layer.fc_layers."))
        hidden = [state[f"output_layer.fc_layers.{n}.weight"].shape[0] for n in sorted(set(linear))[:-1]]
        options: dict[str, object] = {
            "name": "movie_transformer",
            "width": width,
            "user_width": user_width,
            "num_layers": len(layers),
            "hidden_sizes": hidden,
            "repeat_bias": "repeat_bias" in state,
        }
        return options, Sizes(num_tokens, num_users, window)

    def _initialise(self) -> None:
        nn.init.uniform_(self.movie_transformer.token_embedding.weight, -INITIAL_RANGE, INITIAL_RANGE)
        nn.init.uniform_(self.user_embedding.weight, -INITIAL_RANGE, INITIAL_RANGE)
        for layer in self.output_layer.fc_layers:
            if isinstance(layer, nn.Linear):
                nn.init.uniform_(layer.weight, -INITIAL_RANGE, INITIAL_RANGE)
                if layer.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]  the last layer has none
                    nn.init.zeros_(layer.bias)
