"""Nothing but the gate opens a file to read it, or gives a path to a library that does, but for what is listed here."""

import ast
from collections.abc import Iterator

from recformer.files.names import PROJECT

OPENS = {"open", "fdopen", "read_text", "read_bytes"}
"""Names of functions and methods that open a file."""
READS = {
    "json.load",
    "json.loads",
    "yaml.load",
    "yaml.safe_load",
    "pickle.load",
    "pickle.loads",
    "torch.load",
    "np.load",
    "np.fromfile",
    "np.loadtxt",
    "np.genfromtxt",
    "np.memmap",
    "pd.read_csv",
    "pd.read_parquet",
    "pd.read_json",
    "pd.read_pickle",
    "parquet.read_table",
    "parquet.ParquetFile",
    "arrow_csv.read_csv",
    "safetensors.safe_open",
    "safetensors.torch.load_file",
    "zipfile.ZipFile",
    "zipfile.is_zipfile",
    "shutil.copyfile",
    "shutil.copy",
    "SummaryReader",
    "EventAccumulator",
    "Image.open",
}
"""What reads a file, or its content, in a library's own way."""
WRITES = {"xb", "ab", "wb", "a", "w", "r+b", "'ab' if done else 'wb'"}
ALLOWED = {
    # given what the gate opened or read
    ("data.sources.archives", "opened.open"): "a file of an archive that came through the gate",
    ("data.arrays", "np.memmap"): "a file that the gate opened",
    ("data.cache", "parquet.ParquetFile"): "a file that the gate opened",
    ("data.table", "arrow_csv.read_csv"): "bytes that the gate read",
    ("data.rows", "arrow_csv.read_csv"): "bytes that the gate read",
    ("data.rows", "parquet.ParquetFile"): "a file that the gate opened",
    ("evaluation.store", "parquet.ParquetFile"): "a file that the gate opened",
    ("evaluation.lists.kept", "parquet.ParquetFile"): "a file that the gate opened",
    ("evaluation.lists.read", "json.loads"): "one list of a file that the gate opened",
    ("recommend.posters", "Image.open"): "a file that the gate opened",
    ("checkpoint.weights", "torch.load"): "a file that the gate opened",
    # checked by the gate, then opened by a library that takes nothing but a path
    ("files.safetensors_header", "safetensors.safe_open"): "after check_safetensors",
    ("checkpoint.weights", "safetensors.torch.load_file"): "after check_safetensors",
    ("checkpoint.weights", "zipfile.is_zipfile"): "of a file that torch.load refused",
    ("training.import_run", "shutil.copyfile"): "after _check_events",
    # our own words, within this process
    ("logs.details", "SummaryReader"): "after _refuse_what_cannot_be_read",
    ("logs.details", "EventAccumulator"): "after _refuse_what_cannot_be_read",
    ("ui.train.estimate", "json.loads"): "a cache's key",
    ("data.partition", "path.open"): "rows that this process has written",
    ("data.partition", "np.fromfile"): "rows that this process has written",
    # our own source code
    ("ui.shared.live_chart", "(folder / name).read_text"): "a script or style sheet of ours",
    ("export.model_folder", "EXAMPLE.read_text"): "an example of ours",
    ("evaluation.store", "path.read_bytes"): "for its digest",
    ("model.native.build", "path.read_bytes"): "for its digest",
    # what no other file can stand in place of
    ("jobs.supervisor", "Path('/proc/vmstat').read_text"): "the kernel's",
    ("run.process", "open"): "the kernel's /proc/PID/stat",
    ("run.process", "Path('/proc/sys/kernel/random/boot_id').read_text"): "the kernel's",
    ("cli.commands", "os.open"): "/dev/null, to write to",
    ("files.writing", "os.open"): "a folder, to flush it",
    ("files.writing", "temporary.open"): "a file just written, to flush it",
}
"""Module and call, and why it may."""


def calls() -> Iterator[tuple[str, str]]:
    """Module and call of everything that reads in a way of its own."""
    for path in sorted((PROJECT / "recformer").rglob("*.py")):
        module = ".".join(path.relative_to(PROJECT / "recformer").with_suffix("").parts)
        if module != "files.gate":
            yield from ((module, call) for call in reading(path.read_text(encoding="utf-8")))


def reading(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = [
            argument.value if isinstance(argument, ast.Constant) else ast.unparse(argument) for argument in node.args
        ]
        opens = name.rpartition(".")[2] in OPENS and not name.startswith("gate.") and WRITES.isdisjoint(given)
        # tables.read_bytes is the data readers' own function over the gate
        if name in READS or (opens and name != "read_bytes"):
            yield name


def test_nothing_else_opens_a_file_to_read_it() -> None:
    found = set(calls())
    allowed = set(ALLOWED)
    assert found - allowed == set(), "read it through recformer.files.gate"
    assert allowed - found == set(), "it is not there any more: take it from the list"


def test_the_search_sees_every_way() -> None:
    source = "\n".join(
        [
            "open(p)",
            "p.open('rb')",
            "p.open('wb')",
            "gate.read_bytes(p, k)",
            "Path(a).read_text()",
            "def f():\n    return [json.loads(x) for x in y]",
            "os.open(p, os.O_RDONLY)",
            "np.load(p)",
        ]
    )
    assert sorted(reading(source)) == ["Path(a).read_text", "json.loads", "np.load", "open", "os.open", "p.open"]
