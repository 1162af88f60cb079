"""Every kind of file × every kind of damage: read or refused in one sentence, in bounded time and memory."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recformer.files.names import PROJECT
from tests.training_helpers import environment

MOST_MEGABYTES = 200
MOST_CPU_SECONDS = 5  # one is the claim; this finds what stalls, on a machine that does other work too
NO_HELP = {"a link to nothing", "doubled"}  # a file that is not there, or may be whole, is read
CACHES = ("cached ", "evaluation", "ranks", "log index", "event file", "train.log", "SOURCE.json", "poster")
"""What is made again or left out where it is damaged."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """Kind, damage, outcome, CPU-seconds and megabytes of each case."""
    folder = tmp_path_factory.mktemp("damage")
    result = subprocess.run(
        [sys.executable, "-m", "tests.damage", str(folder)],
        cwd=PROJECT,
        env=environment(folder / "root"),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_kind_is_tried(outcomes: list[list[Any]]) -> None:
    assert len({kind for kind, *_ in outcomes}) >= 28
    assert len({damage for _, damage, *_ in outcomes}) == 22
    assert {outcome for _, damage, outcome, *_ in outcomes if damage in NO_HELP} == {"read", "refused"}


def test_each_is_read_or_refused_in_one_sentence(outcomes: list[list[Any]]) -> None:
    others = [(kind, damage, outcome) for kind, damage, outcome, *_ in outcomes if outcome not in ("read", "refused")]
    assert not others, "\n\n".join(f"{kind}, {damage}: {outcome}" for kind, damage, outcome in others)


def test_none_takes_long_or_much_memory(outcomes: list[list[Any]]) -> None:
    assert not [case for case in outcomes if case[3] > MOST_CPU_SECONDS or case[4] > MOST_MEGABYTES]


def test_what_cannot_be_made_again_is_never_taken_for_whole(outcomes: list[list[Any]]) -> None:
    taken = {
        (kind, damage)
        for kind, damage, outcome, *_ in outcomes
        if outcome == "read" and damage not in NO_HELP and not kind.startswith(CACHES)
    }
    # Half a YAML file may be YAML, and a newer version's settings are kept.
    assert taken <= {
        (kind, damage)
        for kind in ("config.yaml", "labels.json", "best.json", "given configuration")
        for damage in ("cut", "other types")
    }


def test_the_harness_notices(tmp_path: Path) -> None:
    """What reads without the gate is seen: a stack trace, and memory."""
    script = (
        "from pathlib import Path; import json, tests.damage as d\n"
        "print(json.dumps([d.measured(lambda: json.loads('['))[0], d.measured(lambda: bytearray(b'x') * 300_000_000)[2]]))"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    outcome, megabytes = json.loads(result.stdout)
    assert "JSONDecodeError" in outcome and megabytes > MOST_MEGABYTES
