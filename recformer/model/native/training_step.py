"""The movie transformer's training step in C++ (movie_transformer.cpp): what it can do, and the call."""

from collections.abc import Sequence
from ctypes import Structure, addressof, byref, c_float, c_int64, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from recformer.config import TrainConfig
from recformer.loss.argmax_penalty import ArgmaxPenaltyOptions
from recformer.loss.cross_entropy import CrossEntropyOptions
from recformer.loss.masked_softmax import MaskedSoftmaxOptions
from recformer.loss.seen import Seen, Span
from recformer.loss.soft_penalty import SoftPenaltyOptions
from recformer.loss.unlikelihood import UnlikelihoodOptions
from recformer.model.movie_transformer import MovieTransformer, MovieTransformerOptions
from recformer.model.native.build import is_built, library

SOURCE = "movie_transformer.cpp"
MULTIPLE = 16  # of every width: whole vectors on every processor, so that a run can go on elsewhere
LARGEST = 4096  # values of one activation of a window: more would not fit on a thread's stack
LONGEST = 50  # tokens: attention between all pairs is kept for the backward pass
CROSS_ENTROPY, MASKED, SOFT_PENALTY, UNLIKELIHOOD = range(4)  # as in the source


@dataclass(frozen=True)
class _Loss:
    """One of the four losses that the source knows, and what it needs to be told."""

    number: int
    penalty: float = 0.0
    of: Span | None = None
    argmax: ArgmaxPenaltyOptions | None = None
    """Added here, from which rows' likeliest token is in the window: it has no gradient."""


def why_not(config: TrainConfig) -> str | None:
    """What of a configuration the native step cannot do; None where it can do everything."""
    model = config.model
    if not isinstance(model, MovieTransformerOptions):
        return f"the native engine knows the model movie_transformer alone, not {model.name}"
    if len(model.hidden_sizes) != 1:
        return f"the native engine knows one hidden layer, not {len(model.hidden_sizes)}"
    sizes = {"width": model.width, "user_width": model.user_width, "hidden_sizes": model.hidden_sizes[0]}
    for name, size in sizes.items():
        if size % MULTIPLE:
            return f"{name} = {size} is no multiple of {MULTIPLE}"
        if size > LARGEST:
            return f"{name} = {size} is more than {LARGEST}"
    if model.width * config.window > LARGEST:
        return f"width × window = {model.width * config.window} is more than {LARGEST}"
    if config.window > LONGEST:
        return f"window = {config.window} is more than {LONGEST}"
    if config.optimizer != "adam":
        return f"the native engine knows the optimizer adam alone, not {config.optimizer}"
    if config.clip_norm:
        return "the native engine does not clip gradients"
    if _loss_of(config) is None:
        return f"the native engine does not know the loss {config.loss.name} with these options"
    return None


def needs_building(config: TrainConfig) -> bool:
    """Whether the step's library has to be compiled first. Raises BuildError where it cannot be."""
    return not is_built(SOURCE, _constants(cast(MovieTransformerOptions, config.model), config.window))


class NativeStep:
    """Forward, loss, backward and Adam on the CPU, on as many threads as PyTorch uses.

    The same numbers as PyTorch's up to rounding. Dropout draws other random numbers of the same distribution, from a
    seed that PyTorch's global generator gives for each step. Adam's moments are the optimizer's own.
    """

    def __init__(self, config: TrainConfig, model: MovieTransformer, optimizer: torch.optim.Adam) -> None:
        """Compiles the library or finds it compiled. Raises BuildError where it cannot be had."""
        options = cast(MovieTransformerOptions, config.model)
        self._library = library(SOURCE, _constants(options, config.window))
        self._library.lanes.restype = self._library.scratch_bytes.restype = c_int64
        self.lanes = int(self._library.lanes())
        """Windows that are worked on at a time: as many as a vector of this processor has lanes."""
        self._loss = cast(_Loss, _loss_of(config))
        self._group = optimizer.param_groups[0]
        self._weights = _weights(model)
        self._gradients = [None if weight is None else torch.zeros_like(weight) for weight in self._weights.values()]
        self._moments = [None if weight is None else _moments(optimizer, weight) for weight in self._weights.values()]
        self._counts = [moments["step"] for moments in self._moments if moments]
        self._losses = torch.zeros(config.batch_size)
        self._top_repeats = torch.zeros(config.batch_size, dtype=torch.bool)
        self._call = _Step()
        self._buffers = self._prepare(options)

    def __call__(self, seen: Seen) -> Tensor:
        """Train on a batch whose targets stand behind its windows; its loss, () float."""
        loss = self.gradients_of(seen, update=True)
        for count in self._counts:
            count += 1
        return loss

    def gradients_of(self, seen: Seen, update: bool = False) -> Tensor:
        """The loss of a batch, () float, its gradients into `gradients`; changes the weights where `update` says so."""
        call, count = self._call, float(self._counts[0]) + 1
        beta1, beta2 = self._group["betas"]
        call.rate, call.beta1, call.beta2, call.adam_epsilon = self._group["lr"], beta1, beta2, self._group["eps"]
        call.correction1, call.root_correction2 = 1 - beta1**count, (1 - beta2**count) ** 0.5
        call.update, call.rows = update, len(seen.ends)
        if call.rows > len(self._losses):
            raise ValueError(f"a batch of {call.rows} windows: at most {len(self._losses)} were said")
        call.seed = int(torch.empty((), dtype=torch.int64).random_())
        sequences, ends, users = seen.sequences, seen.ends.contiguous(), seen.users.contiguous()
        firsts = sequences.user_starts[users]
        seen_from = firsts if self._loss.of == "history" else torch.maximum(ends - seen.window.shape[1], firsts)
        call.sequence, call.ends, call.firsts = sequences.tokens.data_ptr(), ends.data_ptr(), firsts.data_ptr()
        call.users, call.seen_from = users.data_ptr(), seen_from.data_ptr()
        self._library.train_step(byref(call))
        return self._reduced(len(seen.ends))

    @property
    def gradients(self) -> dict[str, Tensor]:
        """Name of a weight to the last batch's gradient, in the weight's shape."""
        pairs = zip(self._weights, self._gradients, strict=True)
        return {name: gradient for name, gradient in pairs if gradient is not None}

    def _reduced(self, rows: int) -> Tensor:
        """() float: the mean of the rows' losses, with the penalty that has no gradient."""
        loss = self._losses[:rows].mean()
        if self._loss.argmax is None:
            return loss
        repeated = self._top_repeats[:rows].to(torch.float32)
        reduced = repeated.mean() if self._loss.argmax.reduction == "mean" else repeated.median()
        return loss + self._loss.argmax.penalty * reduced

    def _prepare(self, options: MovieTransformerOptions) -> dict[str, Any]:
        """Write into the call all that stays the same from step to step; what it points to is kept by who asks."""
        weights, call, threads = list(self._weights.values()), self._call, torch.get_num_threads()
        rows = len(self._losses)
        sizes = [0 if weight is None else weight.numel() for weight in weights]
        places, dense_size = _places(self._weights, sizes)
        vocabulary, num_users = len(cast(Tensor, weights[0])), len(cast(Tensor, self._weights[USER]))
        window = len(cast(Tensor, weights[1]))
        buffers: dict[str, Any] = {
            "weights": _pointers(weights),
            "first": _pointers([moments["exp_avg"] if moments else None for moments in self._moments]),
            "second": _pointers([moments["exp_avg_sq"] if moments else None for moments in self._moments]),
            "grads": _pointers(self._gradients),
            "sizes": (c_int64 * len(sizes))(*sizes),
            "dense_at": (c_int64 * len(places))(*places),
            "dense": torch.zeros(threads, dense_size),
            "scratch": torch.zeros(threads, self._library.scratch_bytes(), dtype=torch.uint8),
            "logits": torch.zeros(threads, vocabulary, self.lanes),
            "token_grads": torch.zeros(rows, window, options.width),
            "user_grads": torch.zeros(rows, options.user_width),
            "losses": self._losses,
            "top_repeats": self._top_repeats,
        }
        for name, buffer in buffers.items():
            setattr(call, name, buffer.data_ptr() if isinstance(buffer, Tensor) else addressof(buffer))
        call.dense_size, call.threads = dense_size, threads
        call.vocabulary, call.num_items, call.num_users = vocabulary, vocabulary - 2, num_users
        call.loss, call.penalty = self._loss.number, self._loss.penalty
        call.dropout, call.epsilon = options.dropout, options.layer_norm_epsilon
        return buffers


TOKEN, USER = "movie_transformer.token_embedding.weight", "user_embedding.weight"
LAYER = ("layer_norm1", "attention.qkv", "attention.out", "layer_norm2", "mlp.fc1", "mlp.fc2")


def _weights(model: MovieTransformer) -> dict[str, nn.Parameter | None]:
    """The weights in the order of the source's struct; None for one that the model lacks."""
    encoder, head = "movie_transformer", "output_layer.fc_layers"
    names = [TOKEN, f"{encoder}.positional_embedding.weight"]
    for layer in range(len(model.movie_transformer.layers)):
        names += [f"{encoder}.layers.{layer}.{part}.{kind}" for part in LAYER for kind in ("weight", "bias")]
    names += [f"{encoder}.layer_norm.weight", f"{encoder}.layer_norm.bias", USER]
    names += [f"{head}.0.weight", f"{head}.0.bias", f"{head}.2.weight", "repeat_bias"]
    parameters = dict(model.named_parameters())
    return {name: parameters.get(name) for name in names}


def _places(weights: dict[str, nn.Parameter | None], sizes: list[int]) -> tuple[list[int], int]:
    """Where each weight's gradient begins in a thread's own (in floats, at full vectors), and how long that is."""
    places, end = list[int](), 0
    for name, size in zip(weights, sizes, strict=True):
        places.append(end)
        if name not in (TOKEN, USER):  # of a batch's few rows: each is added by one thread
            end += -(-size // MULTIPLE) * MULTIPLE
    return places, end


def _moments(optimizer: torch.optim.Adam, weight: nn.Parameter) -> dict[str, Tensor]:
    """Adam's state of a weight, made as Adam makes it where there is none yet."""
    state = optimizer.state[weight]
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
    return state


def _loss_of(config: TrainConfig) -> _Loss | None:
    match config.loss:
        case CrossEntropyOptions():
            return _Loss(CROSS_ENTROPY)
        case ArgmaxPenaltyOptions() as options:
            return _Loss(CROSS_ENTROPY, argmax=options)
        case MaskedSoftmaxOptions(of=of):
            return _Loss(MASKED, of=of)
        case SoftPenaltyOptions(penalty=penalty, of=of):
            return _Loss(SOFT_PENALTY, penalty, of)
        case UnlikelihoodOptions(penalty=penalty, of=of, form="mass"):
            return _Loss(UNLIKELIHOOD, penalty, of)
        case _:
            return None


def _constants(options: MovieTransformerOptions, window: int) -> dict[str, int]:
    return {
        "TOKENS": window,
        "WIDTH": options.width,
        "USER_WIDTH": options.user_width,
        "HEADS": options.num_heads,
        "LAYERS": options.num_layers,
        "HIDDEN": options.hidden_sizes[0],
        "DROPS": int(options.dropout > 0),  # a step that drops nothing draws nothing
    }


def _pointers(tensors: Sequence[Tensor | None]) -> Any:
    return (c_void_p * len(tensors))(*[None if tensor is None else tensor.data_ptr() for tensor in tensors])


POINTERS = (
    *("weights", "first", "second", "grads", "sizes", "dense_at", "dense", "scratch", "logits", "token_grads"),
    *("user_grads", "sequence", "ends", "firsts", "users", "seen_from", "losses", "top_repeats"),
)
COUNTS = ("dense_size", "rows", "vocabulary", "num_items", "num_users", "threads", "loss", "update")
REALS = (
    *("penalty", "dropout", "epsilon"),
    *("rate", "beta1", "beta2", "adam_epsilon", "correction1", "root_correction2"),
)


class _Step(Structure):
    _fields_ = (
        *((name, c_void_p) for name in POINTERS),
        *((name, c_int64) for name in COUNTS),
        ("seed", c_uint64),
        *((name, c_float) for name in REALS),
    )
