"""Random programs of byte operations on event files: what is undamaged is read, nothing is invented, damage is told."""

import math
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from benchmarks.event_files import framed
from recformer.logs.reader import RunLog
from tests.effort import examples
from tests.log_files import event, opaque, others, points_in, points_of, simple, tensor, text

NAMES = ("a.tfevents.1", "b.tfevents.2")
TAGS = ("", "loss", "loss/validation", "é中🙂", "\n\x05\x15\t", "x" * 130)
VALUES = st.sampled_from([0.0, -0.0, 1.5, -2.25, 2.0**-14, 65504.0, math.nan, math.inf, -math.inf])
RUBBISH = st.binary(max_size=40) | st.sampled_from([b"\0" * 3, b"\0" * 70, b"\xff" * 20])
FILES = st.sampled_from(NAMES)
SPOT = st.floats(0, 1, exclude_max=True)


@dataclass
class Written:
    """A record as it was written, wherever its bytes ended up."""

    begin: int
    whole: bytes
    points: set[tuple[str, int, float, str]]
    touched: bool = False
    """Changed after a refresh may have read it: the reader may know either."""

    @property
    def end(self) -> int:
        return self.begin + len(self.whole)

    def is_intact(self, data: bytes) -> bool:
        return data[self.begin : self.end] == self.whole

    def claims(self, data: bytes) -> bool:
        """Whether its length can be believed, so that what lies up to its end may be taken for its own."""
        return self.touched or data[self.begin : self.begin + 12] == self.whole[:12]


@dataclass
class Model:
    """What was done to one file, and what a reader must (may) know of it."""

    data: bytearray = field(default_factory=bytearray)
    records: list[Written] = field(default_factory=list)
    rest: bytes = b""
    shown: int = 0
    may: set[tuple[str, int, float, str]] = field(default_factory=set)

    def settled(self) -> list[Written]:
        """Undamaged records that no damaged one before them claims as its own data."""
        kept: list[Written] = []
        claimed = 0
        for record in self.records:
            if record.is_intact(self.data) and not record.touched and record.begin >= claimed:
                kept.append(record)
            elif not record.is_intact(self.data) and record.claims(self.data):
                claimed = max(claimed, record.end)
        return kept

    def gaps(self) -> list[tuple[int, int]]:
        """Stretches of damage before a settled record."""
        found, end = [], 0
        for record in self.settled():
            if record.begin > end:
                found.append((end, record.begin))
            end = record.end
        return found

    def show(self) -> None:
        self.shown = len(self.data)
        self.may |= {point for record in self.records if record.is_intact(self.data) for point in record.points}


class Damage(RuleBasedStateMachine):
    """One log over two files; each rule is something that may happen to a file."""

    index: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.models = {name: Model() for name in NAMES}
        self.count = 0
        self.open_anew()

    def teardown(self) -> None:
        self.refresh()
        shutil.rmtree(self.folder)

    def open_anew(self) -> None:
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        self.log = RunLog(logs) if self.index is None else RunLog(logs, self.folder / self.index)

    def new_record(self, draw: st.DataObject) -> Written:
        """A record with a step and a wall time that no other one has."""
        self.count += 1
        step, wall = self.count * draw.draw(st.sampled_from([1, 37, -(2**40), 2**50])), 1000.0 + self.count
        tag, value = draw.draw(st.sampled_from(TAGS)), draw.draw(VALUES)
        number = value if abs(value) < 2**15 else 7.0
        plain = [simple(tag, value), tensor(tag, value), tensor(tag, value, 2, content=True), tensor(tag, value, 19)]
        new = [tensor(tag, value, 1, content=True, plugin="scalars"), tensor(tag, int(number), 9)]
        single = [event(step, wall, one) for one in [*plain, *new, *others(tag)]]
        several = event(step, wall, *others("other"), simple("a", value), tensor("b", value))
        data = draw.draw(st.sampled_from([*single, *single, several, *opaque(wall)]))
        points = {(*point[:3], text(point[3])) for point in points_of(data)}
        return Written(0, framed(data), points)

    def append(self, name: str, data: bytes) -> None:
        self.models[name].data += data
        with (self.folder / "logs" / name).open("ab") as file:
            file.write(data)

    @rule(name=FILES, draw=st.data())
    def write_a_record(self, name: str, draw: st.DataObject) -> None:
        self.write_a_part(name, draw, 1.0)

    @rule(name=FILES, draw=st.data(), part=SPOT)
    def write_a_part(self, name: str, draw: st.DataObject, part: float) -> None:
        """Of a record; what was missing of the one before stays missing."""
        model, record = self.models[name], self.new_record(draw)
        record.begin = len(model.data)
        cut = max(int(part * len(record.whole)), 1)  # nothing at all of a record is no damage
        self.append(name, record.whole[:cut])
        model.records.append(record)
        model.rest = record.whole[cut:]

    @rule(name=FILES, part=SPOT | st.just(1.0))
    def write_the_rest(self, name: str, part: float) -> None:
        model = self.models[name]
        cut = int(part * len(model.rest))
        self.append(name, model.rest[:cut])
        model.rest = model.rest[cut:]

    @rule(name=FILES, rubbish=RUBBISH)
    def write_rubbish(self, name: str, rubbish: bytes) -> None:
        self.append(name, rubbish)
        self.models[name].rest = b""

    @rule(name=FILES, spot=SPOT, mask=st.integers(1, 255))
    def flip(self, name: str, spot: float, mask: int) -> None:
        """Change a byte in place, of those that nobody has read yet where there are some."""
        model = self.models[name]
        if not model.data:
            return
        place = model.shown + int(spot * (len(model.data) - model.shown))
        if place == len(model.data):
            place = int(spot * len(model.data))
            for record in model.records:
                record.touched |= record.begin <= place < record.end
        model.data[place] ^= mask
        with (self.folder / "logs" / name).open("r+b") as file:
            file.seek(place)
            file.write(model.data[place : place + 1])

    @rule(name=FILES, spot=SPOT)
    def cut_off_the_end(self, name: str, spot: float) -> None:
        model = self.models[name]
        if not model.data:
            return
        del model.data[int(spot * len(model.data)) :]
        os.truncate(self.folder / "logs" / name, len(model.data))
        self.begin_anew(model)
        self.refresh()

    @rule(name=FILES, draw=st.data(), size=st.integers(0, 4))
    def replace(self, name: str, draw: st.DataObject, size: int) -> None:
        """Another file under the same name."""
        fresh = self.models[name] = Model()
        for _ in range(size):
            record = self.new_record(draw)
            record.begin = len(fresh.data)
            fresh.data += record.whole
            fresh.records.append(record)
        (self.folder / "new").write_bytes(fresh.data)
        (self.folder / "new").replace(self.folder / "logs" / name)

    def begin_anew(self, model: Model) -> None:
        """What the file is from now on, when all that was read of it is void."""
        model.records = [record for record in model.records if record.begin < len(model.data)]
        for record in model.records:
            record.touched = False
        model.rest, model.shown, model.may = b"", 0, set()

    @rule()
    def open_the_log_anew(self) -> None:
        if self.index is None:
            for model in self.models.values():
                self.begin_anew(model)
        self.open_anew()

    @rule()
    def refresh(self) -> None:
        earlier = self.log.scalars()
        before = {tag: (curve.step.copy(), curve.value.copy()) for tag, curve in earlier.items()}
        self.log.refresh()
        for model in self.models.values():
            model.show()
        found = points_in(self.log)
        must = {point for model in self.models.values() for record in model.settled() for point in record.points}
        assert must <= found
        assert found <= {point for model in self.models.values() for point in model.may}
        self.damage_is_told()
        assert self.log.refresh() is False
        assert points_in(self.log) == found
        for tag, (step, value) in before.items():  # curves that were handed out stay as they are
            assert earlier[tag].step.tobytes() == step.tobytes()
            assert earlier[tag].value.tobytes() == value.tobytes()

    def damage_is_told(self) -> None:
        for name, model in self.models.items():
            if any(record.touched for record in model.records):
                continue
            told = [offset for path, offset in self.log.damaged if path.name == name]
            gaps, settled = model.gaps(), model.settled()
            end = settled[-1].end if settled else 0
            assert {begin for begin, _ in gaps} <= set(told)
            inside = [offset for offset in told if any(begin <= offset < stop for begin, stop in gaps)]
            assert inside == [offset for offset in told if offset < end]
            if b"".join(record.whole for record in model.records).startswith(model.data):
                assert told == []


class DamageBesideAnIndex(Damage):
    """The same where the log is opened anew from an index."""

    index = "index"


TestDamage = Damage.TestCase
TestDamage.settings = settings(max_examples=examples(150), stateful_step_count=25)
TestDamageBesideAnIndex = DamageBesideAnIndex.TestCase
TestDamageBesideAnIndex.settings = TestDamage.settings
