"""Configurations: presets, overrides, and faults told all at once."""

from pathlib import Path
from typing import Any

import pytest

from recformer.config import dump, override, parse, preset, preset_description, preset_names, read_mapping
from recformer.errors import ConfigError, UsageError

PRESETS = sorted(
    [
        *("baseline", "best", "blend", "compiled_scheduler", "counts", "fast", "masked_softmax", "penalty", "quick"),
        *("ridge", "soft_penalty", "strong", "unlikelihood"),
    ]
)


def faults_of(mapping: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(mapping, "here")
    assert str(caught.value).startswith("here: ")
    return caught.value.faults


def numbers_of(mapping: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Every key of a preset with a number (not yes or no) under it, sections with a dot."""
    found: list[tuple[str, Any]] = []
    for key, value in mapping.items():
        if isinstance(value, dict):
            found += numbers_of(value, f"{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((prefix + key, value))
    return found


def test_these_are_the_presets() -> None:
    assert preset_names() == PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_parses(name: str) -> None:
    others = {name: name for name in ("ridge", "counts", "blend")} | dict.fromkeys(
        ("quick", "strong", "best"), "sasrec"
    )
    assert parse(preset(name)).model.name == others.get(name, "movie_transformer")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_comes_back_from_dump_unchanged(name: str, tmp_path: Path) -> None:
    config = parse(preset(name))
    (tmp_path / "config.yaml").write_text(dump(config), encoding="utf-8")
    assert parse(read_mapping(tmp_path / "config.yaml")) == config


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("baseline", (512, 5e-4, 1000, "cross_entropy", None, "constant", "highest")),
        ("penalty", (512, 8e-4, 1000, "argmax_penalty", 0.2, "constant", "highest")),
        ("compiled_scheduler", (4096, 5e-4, 500, "argmax_penalty", 0.1, "cosine", "high")),
    ],
)
def test_presets_have_the_articles_numbers(name: str, expected: tuple[Any, ...]) -> None:
    config = parse(preset(name))
    found = (
        config.batch_size,
        config.learning_rate,
        config.num_epochs,
        config.loss.name,
        getattr(config.loss, "penalty", None),
        config.schedule,
        config.matmul_precision,
    )
    assert found == expected
    assert config.window == 5
    model = config.model.model_dump()
    sizes = {"width": 32, "user_width": 32, "num_layers": 4, "num_heads": 4, "hidden_sizes": (16,), "dropout": 0.1}
    assert sizes.items() <= model.items()
    assert model["layer_norm_epsilon"] == 1e-5


def test_the_cosine_schedule_of_the_article_is_the_compiled_recipes() -> None:
    config = parse(preset("compiled_scheduler"))
    assert (config.schedule_period, config.minimum_learning_rate) == (100, 1e-6)


@pytest.mark.parametrize(("name", "key", "value"), [(n, *pair) for n in PRESETS for pair in numbers_of(preset(n))])
def test_every_number_of_a_preset_can_be_changed(name: str, key: str, value: float) -> None:
    changed = value * 2 if isinstance(value, int) else value / 2
    config = parse(override(preset(name), [f"{key}={changed}"])).model_dump()
    section, dot, field = key.rpartition(".")
    assert (config[section] if dot else config)[field] == changed


def test_an_override_leaves_the_mapping_it_was_given_alone() -> None:
    mapping = preset("baseline")
    override(mapping, ["model.dropout=0.5", "num_epochs=2"])
    assert mapping == preset("baseline")


def test_lists_and_words_can_be_set() -> None:
    config = parse(override(preset("baseline"), ["model.hidden_sizes=[64, 32]", "schedule=cosine", "engine=eager"]))
    assert config.model.model_dump()["hidden_sizes"] == (64, 32)
    assert (config.schedule, config.engine) == ("cosine", "eager")


@pytest.mark.parametrize(("compiled", "engine"), [(True, "compiled"), (False, "auto")])
def test_what_older_configurations_say_of_compiling_is_understood(compiled: bool, engine: str) -> None:
    assert parse(preset("baseline") | {"compile": compiled}).engine == engine
    with pytest.raises(ConfigError, match="compile"):
        parse(preset("baseline") | {"compile": "perhaps"})


def test_a_rate_in_exponent_notation_without_a_point_is_a_number() -> None:
    assert parse(override(preset("baseline"), ["learning_rate=1e-3"])).learning_rate == 0.001


def test_setting_another_loss_drops_the_options_of_the_one_before() -> None:
    config = parse(override(preset("penalty"), ["loss=cross_entropy"]))
    assert config.loss.model_dump() == {"name": "cross_entropy"}


def test_setting_the_same_loss_keeps_its_options() -> None:
    assert parse(override(preset("penalty"), ["loss.name=argmax_penalty"])) == parse(preset("penalty"))


def test_an_option_of_a_section_that_is_not_given_goes_to_its_default_component() -> None:
    assert parse(override({}, ["model.dropout=0.3"])).model.model_dump()["dropout"] == 0.3


@pytest.mark.parametrize("assignment", ["num_epochs", "=3", " = 3"])
def test_what_is_not_key_equals_value_is_refused(assignment: str) -> None:
    with pytest.raises(UsageError, match="write key=value"):
        override({}, [assignment])


def test_a_wrong_type_is_told_with_field_value_and_what_is_allowed() -> None:
    (fault,) = faults_of(preset("baseline") | {"num_epochs": "many"})
    assert "num_epochs" in fault
    assert "'many'" in fault
    assert "allowed: a whole number, at least 1, at most 1,000,000" in fault


@pytest.mark.parametrize(
    ("assignment", "fault"),
    [
        ("model.hidden_sizes=[]", "model.hidden_sizes = []: allowed: 1 to 8 whole numbers"),
        ("model.hidden_sizes=[a]", "model.hidden_sizes.0 = 'a': allowed: 1 to 8 whole numbers"),
        ("initialisation=svd", "initialisation = 'svd': allowed: random, co_occurrence"),
        ("num_epochs=0", "num_epochs = 0: allowed: a whole number, at least 1, at most 1,000,000"),
    ],
)
def test_what_is_allowed_is_said_once(assignment: str, fault: str) -> None:
    assert faults_of(override(preset("baseline"), [assignment])) == [fault]


def test_an_unknown_key_gets_a_suggestion() -> None:
    (fault,) = faults_of(preset("baseline") | {"learning_rat": 0.1})
    assert "learning_rat: unknown key" in fault
    assert "did you mean learning_rate?" in fault


def test_an_unknown_key_of_a_section_gets_a_suggestion() -> None:
    (fault,) = faults_of(override(preset("baseline"), ["model.num_head=2"]))
    assert "model.num_head: unknown key" in fault
    assert "did you mean num_heads?" in fault


def test_a_key_that_belongs_into_a_section_is_shown_its_place() -> None:
    (fault,) = faults_of(preset("baseline") | {"dropout": 0.2})
    assert "did you mean model.dropout?" in fault


def test_a_key_that_resembles_nothing_is_answered_with_the_keys_there_are() -> None:
    (fault,) = faults_of(preset("baseline") | {"qqq": 1})
    assert "allowed: name, model, loss" in fault


def test_heads_that_do_not_divide_the_width_are_told_with_those_that_do() -> None:
    (fault,) = faults_of(override(preset("baseline"), ["model.num_heads=5"]))
    assert "num_heads = 5 does not divide width = 32" in fault
    assert "allowed num_heads: 1, 2, 4, 8, 16, 32" in fault


def test_all_faults_are_told_at_once() -> None:
    wrong = override(preset("baseline"), ["batch_size=0", "learning_rate=fast", "modle=x", "model.dropout=1.5"])
    faults = faults_of(wrong)
    assert len(faults) == 4
    for field, value, allowed in (
        ("batch_size", "0", "at least 1"),
        ("learning_rate", "'fast'", "greater than 0"),
        ("modle", "'x'", "did you mean model?"),
        ("model.dropout", "1.5", "less than 1"),
    ):
        (fault,) = [fault for fault in faults if fault.startswith((f"{field} ", f"{field}:"))]
        assert value in fault
        assert allowed in fault


@pytest.mark.parametrize("key", ["num_epochs", "learning_rate", "save_minutes", "seed", "model.num_heads", "schedule"])
def test_a_yes_where_a_number_or_word_is_due_is_refused(key: str) -> None:
    (fault,) = faults_of(override(preset("baseline"), [f"{key}=yes"]))
    assert key in fault
    assert "True" in fault
    assert "allowed: " in fault


def test_a_yes_in_a_list_of_numbers_is_refused() -> None:
    (fault,) = faults_of(override(preset("baseline"), ["model.hidden_sizes=[16, yes]"]))
    assert "hidden_sizes" in fault


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf"])
def test_a_rate_that_is_no_finite_number_is_refused(value: str) -> None:
    (fault,) = faults_of(override(preset("baseline"), [f"learning_rate={value}"]))
    assert "learning_rate" in fault


@pytest.mark.parametrize("section", ["model", "loss", "split"])
@pytest.mark.parametrize("value", ["no_such_thing", {"name": "no_such_thing"}, {"width": 3}, 7, None, ["a"]])
def test_a_section_without_a_known_name_is_told_the_names(section: str, value: Any) -> None:
    (fault,) = faults_of(preset("baseline") | {section: value})
    assert section in fault
    assert {"model": "movie_transformer", "loss": "cross_entropy", "split": "leave_last_out"}[section] in fault


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_mapping_is_refused(value: Any) -> None:
    (fault,) = faults_of(value)
    assert "a mapping of fields is needed" in fault


def test_keys_that_are_no_text_are_faults() -> None:
    assert faults_of({1: 2})
    assert faults_of({True: 2, "num_epochs": 3})


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n", "\x00", "just words"])
def test_a_file_that_is_no_mapping_in_yaml_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"config\.yaml cannot be read: "):
        read_mapping(tmp_path / "config.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml could not be read"):
        read_mapping(tmp_path / "none.yaml")


def test_an_unknown_preset_is_answered_with_the_presets() -> None:
    with pytest.raises(UsageError, match=", ".join(PRESETS)):
        preset("basline")


def test_an_empty_mapping_is_a_whole_configuration() -> None:
    config = parse({})
    assert (config.model.name, config.loss.name, config.split.name) == (
        "movie_transformer",
        "cross_entropy",
        "leave_last_out",
    )


def test_shares_that_leave_nothing_for_training_are_refused() -> None:
    section = {"name": "random_windows", "validation_fraction": 0.5, "test_fraction": 0.5}
    (fault,) = faults_of(preset("baseline") | {"split": section})
    assert "leave nothing for training" in fault


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_says_at_its_top_what_it_is_for(name: str) -> None:
    assert preset_description(name).endswith(".")
