"""Laws of labels and of the bin: what is written is read again, tags are a set, what is restored has the same bytes."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from recformer.files.names import RUN_ID
from recformer.run.labels import NAME_CHARACTERS, NOTE_CHARACTERS, TAG_CHARACTERS, annotate, read_labels, rename, tag
from recformer.run.paths import Root
from recformer.run.trash import discard, discarded, restore
from tests.effort import examples

CHARACTERS = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
NOTES = st.text(CHARACTERS | st.sampled_from("\t\n\r"), max_size=NOTE_CHARACTERS)
RUN_IDS = st.from_regex(RUN_ID, fullmatch=True)
FILES = st.dictionaries(
    st.sampled_from(["config.yaml", "job.json", "labels.json", "status.json", "eval/a.json", "train.log", "é"]),
    st.binary(max_size=20),
)
laws = settings(max_examples=examples(60))


def lines(limit: int) -> st.SearchStrategy[str]:
    return st.text(CHARACTERS, min_size=1, max_size=limit).filter(lambda text: text.strip() != "")


TAGS = st.lists(lines(TAG_CHARACTERS), max_size=8)


@laws
@given(name=lines(NAME_CHARACTERS), tags=TAGS, note=NOTES)
def test_what_is_said_of_a_run_is_read_again(name: str, tags: list[str], note: str) -> None:
    with TemporaryDirectory() as folder:
        root = Root(Path(folder))
        root.run("run").mkdir(parents=True)
        rename(root, "run", name)
        tag(root, "run", tags)
        last = annotate(root, "run", note)
        assert read_labels(root.run("run")) == last
        assert (last.name, last.note) == (name.strip(), note)
        assert last.tags == sorted({text.strip() for text in tags})


@laws
@given(before=TAGS, add=TAGS, remove=TAGS)
def test_tags_are_a_set(before: list[str], add: list[str], remove: list[str]) -> None:
    with TemporaryDirectory() as folder:
        root = Root(Path(folder))
        root.run("run").mkdir(parents=True)
        tag(root, "run", add=[*before, *before[::-1]])
        found = tag(root, "run", add=add, remove=remove).tags
        old, new, gone = ({text.strip() for text in tags} for tags in (before, add, remove))
        assert found == sorted((old - gone) | new)
        assert tag(root, "run", add=found).tags == found


@laws
@given(run_id=RUN_IDS, records=FILES, weights=FILES, taken=st.booleans())
def test_what_is_deleted_and_restored_has_the_same_bytes(
    run_id: str, records: dict[str, bytes], weights: dict[str, bytes], taken: bool
) -> None:
    with TemporaryDirectory() as folder:
        root = Root(Path(folder))
        write(root.run(run_id), records)
        write(root.model(run_id), weights)
        entry = discard(root, run_id)
        assert [one.entry for one in discarded(root)] == [entry]
        if taken:
            root.run(run_id).mkdir()
        found = restore(root, entry)
        assert (found == run_id) == (not taken)
        assert (read(root.run(found)), read(root.model(found))) == (records, weights)
        assert discarded(root) == []


def write(folder: Path, content: dict[str, bytes]) -> None:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    folder.mkdir(parents=True, exist_ok=True)


def read(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
