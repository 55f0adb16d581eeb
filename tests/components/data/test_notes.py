import json

from components.data import notes
from components.data.notes import Noted


def test_notes_are_counted_by_kind_with_the_first_sources(tmp_path):
    kinds = ["duplicate"] * 5 + ["misnamed"]
    lines = [{"source": f"{n}.png", "kind": kind} for n, kind in enumerate(kinds)]
    (tmp_path / notes.FILE).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert notes.read(str(tmp_path)) == {
        "duplicate": Noted(5, ("0.png", "1.png", "2.png")),
        "misnamed": Noted(1, ("5.png",)),
    }


def test_examples_of_other_stages_have_no_notes(tmp_path):
    assert notes.read(str(tmp_path)) == {}
