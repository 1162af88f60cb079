"""However an event is encoded, the reader finds in it what protobuf finds: odd orders, equal lengths, bytes like keys."""

import random
import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from torch.utils.tensorboard import SummaryWriter

from benchmarks.event_files import framed
from tests.effort import examples
from tests.log_files import NAME, assert_curves, event, opaque, others, points_of, read, rows_of, simple, tensor

WIDTHS = [0, 1, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21, 2**28, 2**31, 2**35 - 1, 2**35, 2**62, -1, -(2**62)]
KEY_LIKE = [
    "\t",
    "\n",
    "\n\x03",
    "\x10\x05",
    "\x15",
    "\x15\x15\x15\x15\x15",
    "*\x0c\n\n\n\x03",
    "B\x0f\x08\x01",
    "\x0a\x00",
]
KEY_FLOATS = [
    struct.unpack("<f", text)[0] for text in (b"\x15\x15\x15\x15", b"\n\x03ab", b"*\x05\n\x03", b"\x10\x01\x10\x01")
]
KEY_WALLS = [
    struct.unpack("<d", text)[0]
    for text in (b"\x10\x05*\x0c\n\n\n\x03", b"\t\t\t\t\t\t\t\t", b"*\x02\n\0\x10\x01\x15A")
]


def varint(number: int, spare: int = 0) -> bytes:
    """In two's complement; `spare` bytes longer than need be."""
    number &= 2**64 - 1
    groups: list[int] = []
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    spare = min(spare, 9 - len(groups))
    return bytes([*groups, number | 0x80, *[0x80] * (spare - 1), 0] if spare > 0 else [*groups, number])


def in_field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


UNKNOWN = st.sampled_from(
    [
        varint(100 << 3) + varint(300),
        varint(101 << 3 | 1) + b"\x15" * 8,
        in_field(102, b"\x0a\x03abc\x15"),
        varint(103 << 3 | 5) + b"\x10\x01\x10\x01",
        varint(104 << 3 | 3) + b"\x10\x07" + varint(104 << 3 | 4),  # a group
        varint(2 << 3 | 2) + b"\x02\x10\x05",  # the step's number, but of another wire type
        in_field(7, b"node"),
    ]
)
FLOATS = st.floats(width=32) | st.sampled_from(KEY_FLOATS)
SIMPLE = FLOATS.map(lambda value: b"\x15" + struct.pack("<f", value))
TENSORS = st.builds(
    lambda value, dtype, content: in_field(8, tensor("", value, dtype, content).tensor.SerializeToString()),
    st.sampled_from([0.5, -2.0, 96.0]),
    st.sampled_from([1, 2, 9, 19]),
    st.booleans(),
)
NAMED = st.sampled_from(["a", "b", "é中🙂", "", *KEY_LIKE]).map(lambda tag: in_field(1, tag.encode()))
PLUGINS = st.sampled_from(["scalars", "images", ""]).map(
    lambda name: in_field(9, in_field(1, in_field(1, name.encode())))
)


@st.composite
def summaries(draw: st.DrawFn) -> bytes:
    parts = [
        *draw(st.lists(NAMED | SIMPLE | TENSORS, min_size=1, max_size=3)),
        *draw(st.lists(UNKNOWN | PLUGINS, max_size=1)),
    ]
    value = in_field(1, b"".join(draw(st.permutations(parts))))
    return in_field(5, value if draw(st.booleans()) else value + draw(UNKNOWN))


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Valid, but with its fields in any order, some given twice, some not at all, and some that nobody knows."""
    steps = st.builds(lambda step, spare: b"\x10" + varint(step, spare), st.sampled_from(WIDTHS), st.integers(0, 3))
    walls = (st.integers(0, 9).map(float) | st.sampled_from(KEY_WALLS)).map(
        lambda wall: b"\x09" + struct.pack("<d", wall)
    )
    one_of = st.sampled_from([in_field(3, b"brain.Event:2"), in_field(4, b"\x0a\x04node"), in_field(7, b"\x08\x02")])
    parts = [draw(walls), draw(steps), draw(summaries())]
    parts += draw(st.lists(walls | steps | summaries() | UNKNOWN | one_of, max_size=2))
    return b"".join(draw(st.permutations(parts)) if draw(st.booleans()) else parts)


def check(records: Sequence[bytes]) -> None:
    """A file of these events is read as protobuf reads them."""
    valid: list[bytes] = []
    damaged: list[int] = []
    offset = 0
    for data in records:
        try:
            Event.FromString(data)
            valid.append(data)
        except DecodeError:
            damaged.append(offset)
        offset += len(data) + 16
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / NAME).write_bytes(b"".join(map(framed, records)))
        log = read(Path(folder))
        assert_curves(log.scalars(), rows_of(valid))
        assert [place for _, place in log.damaged] == damaged


@settings(max_examples=examples(300))
@given(st.lists(events(), min_size=1, max_size=12), st.integers(1, 4))
def test_any_valid_encoding_is_read_as_protobuf_reads_it(records: list[bytes], times: int) -> None:
    check(records * times)


@settings(max_examples=examples(300))
@given(st.data(), st.sampled_from(["simple", "tensor", "several"]))
def test_changed_bytes_under_a_right_checksum_mean_what_protobuf_says(data: st.DataObject, kind: str) -> None:
    """Among many records of the same pattern, some that were changed at random: another structure, or none."""
    made = {
        "simple": lambda step: event(step, 5.0, simple("loss/train", step / 3)),
        "tensor": lambda step: event(step, 5.0, tensor("loss/train", step / 3)),
        "several": lambda step: event(step, 5.0, simple("a", step / 3), simple("b", 2.0), tensor("c", 1.0)),
    }[kind]
    records = [made(step) for step in range(1, 40)]
    for _ in range(data.draw(st.integers(1, 6))):
        chosen = data.draw(st.integers(0, len(records) - 1))
        changed = bytearray(records[chosen])
        place = data.draw(st.integers(0, len(changed) - 1))
        new = data.draw(st.sampled_from([0, 2, 9, 10, 13, 15, 16, 18, 21, 42, 128, 255]) | st.integers(0, 255))
        operation = data.draw(st.sampled_from(["set", "set", "insert", "delete"]))
        changed[place : place + (operation != "insert")] = b"" if operation == "delete" else bytes([new])
        records[chosen] = bytes(changed)
    check(records)


def shapes(step: int, wall: float, value: float) -> list[Callable[[str], bytes]]:
    """Events of many structures, each with a tag, or a filling, as long as one likes."""
    time, number = b"\x09" + struct.pack("<d", wall), b"\x10" + varint(step)
    late = in_field(5, in_field(1, b"\x15" + struct.pack("<f", value) + b"\x0a\x01z"))
    return [
        *[lambda tag: event(step, wall, simple(tag, value))] * 3,
        lambda tag: event(step, wall, tensor(tag, 2.5)),
        lambda tag: event(step, wall, tensor(tag, 2.5, content=True)),
        lambda tag: event(step, wall, simple(tag, value), simple("z", 3.0)),
        lambda tag: event(step, wall, others(tag)[1]),
        lambda tag: number + time + event(0, 0, simple(tag, value)),
        lambda tag: time + number + in_field(99, tag.encode()) + late,
        lambda tag: time + number + late + in_field(99, tag.encode()),
        lambda tag: Event(wall_time=wall, step=step, file_version=tag).SerializeToString(),
    ]


@pytest.mark.parametrize("total", [60, 77, 128, 145, 200])
@pytest.mark.parametrize("seed", range(3))
def test_records_of_equal_length_and_unlike_structure(total: int, seed: int) -> None:
    draw = random.Random(seed)
    records: list[bytes] = []
    while len(records) < 400:
        step, wall = draw.choice([5, 130, 20_000, 2**40, -3]), float(draw.randrange(50))
        make = draw.choice(shapes(step, wall, draw.choice([1.5, -7.0, 0.0, *KEY_FLOATS])))
        fitting = (data for size in range(total) if len(data := make("t" * size)) == total)
        records += [data for data in [next(fitting, None)] if data is not None]  # a length may fit no tag
    check(records)


def test_steps_whose_encoding_grows_and_shrinks() -> None:
    around = [step + by for step in WIDTHS for by in range(-3, 4)]
    steps = [*range(100, 300), *range(16_300, 16_500), *around, *reversed(around)]
    check([event(step, float(place), simple("loss", place)) for place, step in enumerate(steps)])
    check([event(step, 1.0, tensor("loss", place, 9)) for place, step in enumerate(steps)])


@pytest.mark.parametrize("encode", [simple, tensor])
def test_tags_and_numbers_that_look_like_keys(encode: Callable[..., Any]) -> None:
    tags = [*KEY_LIKE, *(tag[::-1] for tag in KEY_LIKE), *(a + b for a in KEY_LIKE for b in KEY_LIKE)]
    draw = random.Random(0)
    records = [
        event(draw.choice([5, 10, 21, 42, 1301]), draw.choice(KEY_WALLS), encode(tag, draw.choice(KEY_FLOATS)))
        for _ in range(4)
        for tag in tags
    ]
    check(records)


@pytest.mark.parametrize("sizes", [range(300), [126, 127, 128, 129, 16_382, 16_383, 16_384, 70_000]])
def test_tags_of_every_length(sizes: Sequence[int]) -> None:
    check(
        [
            event(step, float(step), simple("é" * (size // 2) + "x" * (size % 2), step))
            for step in (1, 200)
            for size in sizes
        ]
    )


@pytest.mark.parametrize("width", [1, 4])
def test_thousands_of_tags(width: int) -> None:
    tags = [f"layer/{number:0{width}}/weight" for number in range(3000)]
    check([event(step, float(step), simple(tag, step + len(tag))) for step in (1, 2, 127, 128) for tag in tags])


def test_hundreds_of_values_in_one_summary() -> None:
    values = [simple(f"user/{number}", number) for number in range(500)]
    check([event(step, float(step), *values) for step in range(10)])


def test_empty_events_and_events_without_summary() -> None:
    check([b"", event(1, 1.0), *opaque(2.0), event(2, 3.0, simple("a", 1)), b"", event(3, 4.0, *others("a"))])


@pytest.mark.parametrize("broken", [b"\x10", b"\x2a\x7f\x0a", b"\x07", b"\x00\x01", b"\x10" + b"\xff" * 10 + b"\x01"])
def test_a_record_that_is_no_event_is_told_among_those_that_are(broken: bytes) -> None:
    check([*(event(step, 1.0, simple("a", step)) for step in range(50)), broken, event(60, 1.0, simple("a", 1))])


def test_a_tag_that_is_no_text_makes_a_record_damaged() -> None:
    good = [event(step, 1.0, simple("abc", step)) for step in range(20)]
    check([*good, good[3].replace(b"abc", b"a\xffc"), good[4].replace(b"abc", b"\xed\xa0\x80"), *good])


def test_first_points_with_metadata_and_later_ones_without(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        for step in range(300):
            writer.add_scalar("new", step / 7, step, new_style=True)
            writer.add_scalar("double", step / 7, step, new_style=True, double_precision=True)
            writer.add_scalar("old", step / 7, step)
    curves = read(tmp_path).scalars()
    expected = np.arange(300) / 7
    np.testing.assert_array_equal(curves["double"].value, expected)
    for tag in ("new", "old"):
        np.testing.assert_array_equal(curves[tag].value, expected.astype(np.float32))
        np.testing.assert_array_equal(curves[tag].step, np.arange(300))


def test_points_of_itself_is_no_mirror_of_the_reader() -> None:
    data = event(3, 2.0, simple("a", 0.5), tensor("b", 4.0, 19), *others("c"), tensor("d", 1.0, plugin="images"))
    assert points_of(data) == [("a", 3, 2.0, 0.5), ("b", 3, 2.0, 4.0)]
