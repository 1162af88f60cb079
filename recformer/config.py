"""Training configurations: the fields with their help texts, presets, overrides, and faults told all at once.

A configuration is a YAML mapping. `model`, `loss` and `split` are sections whose `name` picks a registered
component; the other keys of a section are that component's own options.
"""

import difflib
import json
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from recformer.errors import ConfigError, UsageError
from recformer.files import gate
from recformer.registry import LOSSES, MODELS, SPLITS, Registry

PRESETS = Path(__file__).parent / "training" / "presets"
SEQUENCE_LOSSES = {("cross_entropy", "history"), ("masked_softmax", "history")}
"""Losses, and what they take out, that models of whole histories are trained with."""
OF_EVERY_MODEL = ("name", "model", "split", "window", "train_on", "seed")
"""Settings that mean something to a model that is not trained in steps."""
SECTIONS: dict[str, Registry[Any]] = {"model": MODELS, "loss": LOSSES, "split": SPLITS}


class Options(BaseModel):
    """Options of one component or of a run: frozen, no unknown keys, no booleans or NaN where a number is due."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())

    name: str
    """Registered name of the component, or the run's name for people."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        # YAML reads `yes` and `on` as true, which pydantic would take for the number 1.
        entries = cast("list[Any]", value) if isinstance(value, list | tuple) else [value]
        is_number = cls.model_fields[str(info.field_name)].annotation is not bool
        if is_number and any(isinstance(entry, bool) for entry in entries):
            raise ValueError("a yes/no value is not allowed here")
        return value


def option(
    default: Any,
    title: str,
    help: str,
    *,
    group: str = "Model",
    advanced: bool = False,
    shown: Literal["as text", "as models", "never"] = "as text",
    **limits: Any,
) -> Any:
    """A pydantic field with what a form needs: title, help text in plain words, group, whether to fold it away, and how
    it is shown where it is not plain: as a choice of models, or never, where it is no setting but a record."""
    extra: dict[str, Any] = {"group": group, "advanced": advanced, "shown": shown}
    return Field(default, title=title, description=help, json_schema_extra=extra, **limits)


def _component(kind: str, default: str, title: str, help: str) -> Any:
    return Field(default_factory=lambda: parse_section(kind, {"name": default}), title=title, description=help)


class TrainConfig(Options):
    """Everything that decides what a training run computes. Device and paths are arguments of the job instead."""

    name: str = option(
        "my run",
        "Name",
        "What you want to call this run; shown everywhere.",
        group="Run",
        max_length=80,
        min_length=1,
    )
    model: SerializeAsAny[Options] = _component("model", "movie_transformer", "Model", "The architecture.")
    loss: SerializeAsAny[Options] = _component("loss", "cross_entropy", "Loss", "What training makes small.")
    split: SerializeAsAny[Options] = _component(
        "split", "leave_last_out", "Split", "Which interactions are for training, validation and test."
    )
    num_epochs: int = option(
        30, "Epochs", "How often training passes over all of the training part.", group="Training", ge=1, le=1_000_000
    )
    batch_size: int = option(
        512,
        "Batch size",
        "What is trained on in a step: windows, or positions of a model of whole histories.",
        group="Training",
        ge=1,
        le=1_000_000,
    )
    learning_rate: float = option(5e-4, "Learning rate", "Step size of the optimizer.", group="Training", gt=0, le=10)
    optimizer: Literal["adam", "adamw", "muon"] = option(
        "adam",
        "Optimizer",
        "adam: as in the article. adamw: weights also shrink by themselves, and squares of gradients are forgotten "
        "sooner. muon: AdamW, but the matrices of the layers move by orthogonalised steps.",
        group="Training",
        advanced=True,
    )
    weight_decay: float = option(
        0.0,
        "Weight decay",
        "By how much weights shrink in a step, in units of the learning rate; for adamw and muon.",
        group="Training",
        advanced=True,
        ge=0,
        le=10,
    )
    clip_norm: float = option(
        0.0,
        "Gradient clipping",
        "The longest that all gradients together may be; longer ones are shortened. 0 leaves them as they are.",
        group="Training",
        advanced=True,
        ge=0,
        le=1e6,
    )
    schedule: Literal["constant", "cosine", "one_cycle"] = option(
        "constant",
        "Learning-rate schedule",
        "constant keeps the rate; cosine lets it fall to the minimum over one period of epochs and climb back over "
        "the next (the article's CosineAnnealingLR); one_cycle climbs to the rate over the first steps (warm-up), "
        "then falls in a straight line to the minimum at the end; resumed with more epochs, it goes on where "
        "one of so many would be.",
        group="Training",
    )
    schedule_period: int = option(
        100,
        "Schedule period",
        "Epochs the cosine schedule takes from the learning rate down to the minimum.",
        group="Training",
        advanced=True,
        ge=1,
        le=1_000_000,
    )
    warm_up: float = option(
        0.03,
        "Warm-up",
        "Share of all steps over which the one_cycle schedule climbs to the learning rate.",
        group="Training",
        advanced=True,
        ge=0,
        lt=1,
    )
    minimum_learning_rate: float = option(
        1e-6,
        "Minimum learning rate",
        "Where the cosine and one_cycle schedules end.",
        group="Training",
        advanced=True,
        ge=0,
        le=10,
    )
    initialisation: Literal["random", "co_occurrence"] = option(
        "random",
        "Initialisation",
        "The weights that training begins with. random: drawn. co_occurrence: taken from counts of which items come "
        "soon after which in the training part, which saves most of the first epochs. A run that begins with a "
        "checkpoint's weights has those instead.",
        group="Training",
    )
    negatives: int = option(
        0,
        "Sampled items",
        "How many drawn items, beside the targets of a step, a model of whole histories tells its targets from. 0: all "
        "items, which is exact, and soon enough below some 20,000.",
        group="Training",
        advanced=True,
        ge=0,
        le=1_000_000,
    )
    averaging: float = option(
        0.0,
        "Weight averaging",
        "The model that is validated and kept is a running mean of the weights, of which each step keeps this share; "
        "0.999 is usual. 0: it is the weights themselves.",
        group="Training",
        advanced=True,
        ge=0,
        lt=1,
    )
    patience: int = option(
        0,
        "Patience",
        "Training ends after so many epochs without a better validation. 0: it trains all epochs.",
        group="Training",
        advanced=True,
        ge=0,
        le=1_000_000,
    )
    window: int = option(
        5,
        "Window",
        "How many of the user's latest items the model reads (the article uses 5).",
        group="Data",
        advanced=True,
        ge=1,
        le=1000,
    )
    short_histories: Literal["skip", "pad"] = option(
        "skip",
        "Short histories",
        "What is done with training cases that have fewer tokens before them than the window. skip: they are not "
        "trained on, as in the article. pad: they are, with start tokens in front; right where many users have few "
        "items. Evaluation judges every user, and fills short windows so.",
        group="Data",
        advanced=True,
    )
    best_by: Literal["ndcg@10", "loss"] = option(
        "ndcg@10",
        "Best checkpoint by",
        "The validation figure that decides which state of the model is kept as the best checkpoint.",
        group="Training",
        advanced=True,
    )
    validate_every: float = option(
        1.0,
        "Validate every",
        "A share of an epoch after which the model is validated, and kept where it is the best so far: 0.25 does it "
        "after each quarter, 1 at the end alone. The end of an epoch is always validated.",
        group="Training",
        advanced=True,
        ge=0.001,
        le=1,
    )
    train_on: Literal["train", "train_and_validation"] = option(
        "train",
        "Train on",
        "train: the validation part chooses the best checkpoint. train_and_validation: everything before the test, "
        "once validation has chosen the number of epochs in an earlier run (a refit); nothing is validated, and the "
        "weights after the last epoch are kept.",
        group="Data",
        advanced=True,
    )
    seed: int = option(
        0,
        "Seed",
        "Start of every random number: weights, order of batches, dropout.",
        group="Run",
        advanced=True,
        ge=0,
        le=2**31 - 1,
    )
    engine: Literal["auto", "native", "compiled", "eager"] = option(
        "auto",
        "Engine",
        "What computes the training steps; it changes how long they take. Results differ by "
        "rounding and, where dropout is drawn, as those of another seed do. native: this "
        "model's own step in C++ (CPU). compiled: torch.compile. eager: PyTorch, operation by operation. auto: native "
        "or eager, whichever is faster when measured on this machine, as said above the launch button. Both of the "
        "first need a C++ compiler; without one the run goes on eager and says so.",
        group="Machine",
        advanced=True,
    )
    matmul_precision: Literal["highest", "high", "medium"] = option(
        "highest",
        "Matrix-product precision",
        "float32 precision of matrix products; high lets newer GPUs use TF32.",
        group="Machine",
        advanced=True,
    )
    save_minutes: float = option(
        1.0,
        "Minutes between saves",
        "At most so much work is lost when the machine fails; a stop or the end always saves.",
        group="Machine",
        advanced=True,
        ge=0,
        le=1440,
    )
    save_steps: int = option(
        0,
        "Steps between saves",
        "Saves after every so many steps too, whatever the minutes say; 0 saves by the minutes alone.",
        group="Machine",
        advanced=True,
        ge=0,
        le=1_000_000_000,
    )

    @property
    def in_steps(self) -> bool:
        """Whether the model is trained in steps along gradients; others are solved at once."""
        return trained_in_steps(self.model.name)

    @property
    def validates(self) -> bool:
        """Whether the validation part is left to choose the best checkpoint by."""
        return self.train_on == "train"

    @model_validator(mode="before")
    @classmethod
    def _from_earlier_versions(cls, value: Any) -> Any:
        """Before there were engines it said `compile: true` or `false`; random_windows drew windows of `window`."""
        if not isinstance(value, dict):
            return value
        mapping = dict(cast("dict[str, Any]", value))
        if isinstance(mapping.get("compile"), bool) and mapping.pop("compile"):
            mapping = {"engine": "compiled", **mapping}
        window = mapping.get("window")
        if isinstance(mapping.get("split"), str | dict) and isinstance(window, int):
            mapping["split"] = with_window_size(mapping["split"], window)
        return mapping

    @model_validator(mode="before")
    @classmethod
    def _only_what_applies(cls, value: Any) -> Any:
        """What is solved at once has no rate, loss or batches: those fields are the same in every such run."""
        if not isinstance(value, dict):
            return value
        mapping = cast("dict[str, Any]", value)
        model: Any = mapping.get("model")
        name = model.get("name") if isinstance(model, dict) else getattr(model, "name", model)
        if name not in MODELS.names() or trained_in_steps(name):
            return mapping
        kept = {key: entry for key, entry in mapping.items() if key in OF_EVERY_MODEL or key not in cls.model_fields}
        return kept | {"num_epochs": 1}

    @field_validator("initialisation")
    @classmethod
    def _can_begin(cls, value: str, info: ValidationInfo) -> str:
        options = info.data.get("model")  # missing where it is faulty itself
        if value == "co_occurrence" and options is not None:
            model = MODELS.get(options.name)
            reason = model.why_no_factors(options) if hasattr(model, "begin_with") else "this model cannot begin so"
            if reason:
                raise ValueError(f"{reason}; change that, or choose random")
        return value

    @field_validator("weight_decay")
    @classmethod
    def _has_decay(cls, value: float, info: ValidationInfo) -> float:
        if value and info.data.get("optimizer") == "adam":
            raise ValueError("the optimizer adam has no weight decay; choose adamw or muon, or 0")
        return value

    @field_validator("optimizer")
    @classmethod
    def _knows_the_model(cls, value: str, info: ValidationInfo) -> str:
        options = info.data.get("model")
        if value == "muon" and options is not None and MODELS.get(options.name).TRAINED_ON == "windows":
            raise ValueError(f"muon is for models of whole histories, not {options.name}; use adamw")
        return value

    @field_validator("negatives")
    @classmethod
    def _samples_items(cls, value: int, info: ValidationInfo) -> int:
        options = info.data.get("model")
        if value and options is not None and MODELS.get(options.name).TRAINED_ON != "sequences":
            raise ValueError(f"items are sampled for models of whole histories, not for {options.name}; set 0")
        return value

    @field_validator("loss")
    @classmethod
    def _trains_the_model(cls, value: Options, info: ValidationInfo) -> Options:
        options = info.data.get("model")
        if options is None or MODELS.get(options.name).TRAINED_ON == "windows":
            return value
        if (value.name, getattr(value, "of", "history")) not in SEQUENCE_LOSSES:
            raise ValueError(
                f"{options.name} is trained at all positions at once, which is done with cross_entropy, and with "
                "masked_softmax of the history"
            )
        return value

    @field_validator("train_on")
    @classmethod
    def _needs_no_validation(cls, value: str, info: ValidationInfo) -> str:
        if value == "train_and_validation" and (info.data.get("patience") or info.data.get("validate_every", 1) != 1):
            raise ValueError("nothing is validated then; set patience = 0 and validate_every = 1")
        return value

    @field_validator("minimum_learning_rate")
    @classmethod
    def _below_the_rate(cls, value: float, info: ValidationInfo) -> float:
        rate, schedule = info.data.get("learning_rate"), info.data.get("schedule")  # missing where they are faulty
        if rate is not None and value > rate and schedule != "constant":
            raise ValueError(f"it is above learning_rate = {rate}, from which {schedule} falls to it")
        return value

    @field_validator("model", "loss", "split", mode="before")
    @classmethod
    def _parse_component(cls, value: Any, info: ValidationInfo) -> Options:
        if isinstance(value, Options):
            return value
        return parse_section(str(info.field_name), value)


def trained_in_steps(model: str) -> bool:
    """Whether the model of that name is trained in steps along gradients."""
    return MODELS.get(model).TRAINED_ON in ("windows", "sequences")


def with_window_size(split: Any, window: int) -> Any:
    """A section `split` in which random_windows says how large its windows are: those of the model, if it does not."""
    section = {"name": split} if isinstance(split, str) else cast("dict[str, Any]", split)
    return {"size": window, **section} if section.get("name") == "random_windows" else split


def parse_section(kind: str, value: Any) -> Options:
    """Options of one section: `{"name": registered name, its options …}`, or the bare name.

    Raises ValueError (of which pydantic's ValidationError is one) saying what is wrong.
    """
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or not isinstance(cast("dict[str, Any]", value).get("name"), str):
        raise ValueError(f"a mapping with a name is needed; allowed names: {', '.join(SECTIONS[kind].names())}")
    section = cast("dict[str, Any]", value)
    try:
        component = SECTIONS[kind].get(section["name"])
    except UsageError as error:
        raise ValueError(str(error)) from None
    return cast("type[Options]", component.Options).model_validate(section)


def parse(mapping: Any, source: str = "configuration") -> TrainConfig:
    """A checked configuration. Raises ConfigError with every fault: field, value, what is allowed."""
    if not isinstance(mapping, dict):
        raise ConfigError([f"a mapping of fields is needed, this is a {type(mapping).__name__}"], source)
    try:
        return TrainConfig.model_validate(mapping)
    except ValidationError as error:
        raise ConfigError(list(_faults(error, cast("dict[str, Any]", mapping))), source) from None


def dump(config: TrainConfig) -> str:
    """The configuration as YAML that `parse` gives back unchanged."""
    return yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True)


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, its fields unchecked. Raises UsageError for what is not YAML or not a mapping."""
    try:
        content = gate.read_bytes(path, gate.GIVEN_CONFIG)
    except FileNotFoundError:
        raise UsageError(f"configuration {path} could not be read: there is no such file. Check its name") from None
    return gate.as_mapping(gate.parse_yaml(content, path, gate.GIVEN_CONFIG), path, gate.GIVEN_CONFIG)


def preset_names() -> list[str]:
    """Names of the shipped presets."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def preset(name: str) -> dict[str, Any]:
    """The mapping of a shipped preset. Raises UsageError naming the presets there are."""
    if name not in preset_names():
        raise UsageError(f"preset: there is no {name!r}; allowed: {', '.join(preset_names())}")
    return read_mapping(PRESETS / f"{name}.yaml")


def preset_description(name: str) -> str:
    """What a shipped preset is for: the comment at the top of its file. Raises UsageError as `preset` does."""
    preset(name)
    lines = gate.read_bytes(PRESETS / f"{name}.yaml", gate.GIVEN_CONFIG).decode().splitlines()
    return " ".join(line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines))


def override(mapping: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of `mapping` with each "key=value" set; a dot goes into a section ("model.dropout=0.2").

    Setting a section's name (or the bare section, "loss=cross_entropy") to another component drops the options
    of the one before. Raises UsageError for what is not key=value.
    """
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in mapping.items()}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{assignment!r}: write key=value, for example num_epochs=10 or model.dropout=0.2")
        _assign(result, key.strip(), _yaml_value(text))
    return result


def _assign(mapping: dict[str, Any], key: str, value: Any) -> None:
    section, dot, field = key.partition(".")
    if key in SECTIONS:
        section, dot, field = key, ".", "name"
    if not dot:
        mapping[key] = value
        return
    options = mapping.setdefault(section, {})
    if not isinstance(options, dict):
        options = {"name": options} if section in SECTIONS else {}
    options = cast("dict[str, Any]", options)
    if section in SECTIONS and "name" not in options:
        options["name"] = cast("Options", TrainConfig.model_fields[section].get_default(call_default_factory=True)).name
    mapping[section] = {"name": value} if field == "name" and options.get("name") != value else options | {field: value}


def _yaml_value(text: str) -> Any:
    try:
        return gate.parse_yaml(text.encode(errors="replace"), Path("--set"), gate.GIVEN_CONFIG)
    except UsageError:
        return text


def _faults(error: ValidationError, mapping: dict[str, Any]) -> Iterable[str]:
    faults = error.errors()
    for fault in faults:
        if any(other["loc"][:-1] == fault["loc"] for other in faults):
            continue  # a list is called too short only because its faulty entries were left out
        path = ".".join(str(part) for part in fault["loc"])
        schema = _schema_at(fault["loc"], mapping)
        cause = fault.get("ctx", {}).get("error")  # what our own validators raised
        own = str(cause) if cause is not None else ""
        reason = own or fault["msg"][:1].lower() + fault["msg"][1:]
        if fault["type"] == "extra_forbidden":
            yield f"{path}: unknown key (value {fault['input']!r}){_did_you_mean(str(fault['loc'][-1]), schema)}"
        elif isinstance(fault["input"], dict):  # a rule over several fields: it names them itself
            yield f"{path or 'configuration'}: {reason}"
        else:
            # What is allowed says all that pydantic would, in one way for every field.
            told = [part for part in (own, _allowed(fault["loc"], schema, fault["input"])) if part]
            yield f"{path} = {fault['input']!r}: {'; '.join(told) or reason}"


def _schema_at(location: tuple[int | str, ...], mapping: dict[str, Any]) -> type[BaseModel]:
    """The class that holds the last field of `location`: the run's own, or that of a section's component."""
    if len(location) < 2 or location[0] not in SECTIONS:
        return TrainConfig
    section = mapping[str(location[0])]
    return SECTIONS[str(location[0])].get(section["name"] if isinstance(section, dict) else section).Options


def _did_you_mean(key: str, schema: type[BaseModel]) -> str:
    known = list(schema.model_fields)
    if schema is TrainConfig:
        for kind, registry in SECTIONS.items():
            for name in registry.names():
                known += [f"{kind}.{field}" for field in registry.get(name).Options.model_fields if field != "name"]
    same_leaf = [candidate for candidate in known if candidate.split(".")[-1] == key]
    near = same_leaf or difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; allowed: {', '.join(schema.model_fields)}"


def _allowed(location: tuple[int | str, ...], schema: type[BaseModel], value: Any) -> str:
    """What the field takes; nothing where `value` is one of the choices, and wrong for another reason."""
    names = [str(part) for part in location if str(part) in schema.model_fields]
    if not names or value in get_args(schema.model_fields[names[-1]].annotation):
        return ""
    allowed = describe_limits(schema.model_fields[names[-1]])
    return f"allowed: {allowed}" if allowed else ""


def describe_limits(field: FieldInfo) -> str:
    """What a field takes, in words: "a whole number, at least 1, at most 200"."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(str(choice) for choice in get_args(field.annotation))
    if get_origin(field.annotation) is tuple:
        ends = ("min_length", "max_length")
        lengths = [str(getattr(limit, end)) for limit in field.metadata for end in ends if hasattr(limit, end)]
        of = {int: "whole numbers", float: "numbers", str: "texts"}.get(get_args(field.annotation)[0], "records")
        return f"{'' if len(lengths) > 1 else 'at most '}{' to '.join(lengths)} {of}"
    kinds: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    words = [kinds.get(field.annotation, "")]
    for limit in field.metadata:
        for attribute, phrase in (
            ("gt", "greater than"),
            ("ge", "at least"),
            ("lt", "less than"),
            ("le", "at most"),
        ):
            if getattr(limit, attribute, None) is not None:
                words.append(f"{phrase} {getattr(limit, attribute):,}")
        if getattr(limit, "max_length", None) is not None:
            words.append(f"at most {limit.max_length} characters")
    return ", ".join(word for word in words if word)


def flat_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings under dotted keys: {"loss": {"penalty": 1}} → {"loss.penalty": 1}, in their order."""
    flat: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [(str(key), value) for key, value in reversed(list(config.items()))]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            inner = cast("Mapping[str, Any]", value)
            waiting += [(f"{key}.{name}", part) for name, part in reversed(list(inner.items()))]
        else:
            flat[key] = value
    return flat


def text_of(value: Any) -> str:
    """A setting's value as people write it: true, null, 0.0005, [16, 8]."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return json.dumps(value, ensure_ascii=False, default=str)
