import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.example_gen.config import DataConfig
from components.example_gen.ledger import Ledger, Line, decide

SOURCES = st.lists(
    st.tuples(st.sampled_from(["train", "eval"]), st.integers(0, 30).map(str)),
    min_size=1,
    max_size=12,
    unique=True,
)


@given(SOURCES, st.booleans(), st.sampled_from(["fail", "drop", "keep"]), st.randoms())
def test_of_equal_images_the_right_ones_go(records, drop_duplicates, on_leak, random):
    decision = decide(records, drop_duplicates=drop_duplicates, on_leak=on_leak)
    shuffled = random.sample(records, len(records))
    assert decide(shuffled, drop_duplicates=drop_duplicates, on_leak=on_leak) == decision

    gone = {(line.split, line.source) for line in decision.dropped}
    assert len(gone) == len(decision.dropped)
    left = {"train": 0, "eval": 0}
    there = {"train": 0, "eval": 0}
    for record in records:
        there[record[0]] += 1
        left[record[0]] += record not in gone
    leak = there["train"] and there["eval"]
    cleared = bool(leak and on_leak == "drop")
    expected = {split: min(1, n) if drop_duplicates else n for split, n in there.items()}
    assert left == {"train": 0 if cleared else expected["train"], "eval": expected["eval"]}

    said = [line.kind for line in (*decision.dropped, *decision.noted)]
    assert said.count("leak") == (there["train"] if leak else 0)
    duplicates = max(there["eval"] - 1, 0) + (0 if cleared else max(there["train"] - 1, 0))
    assert said.count("duplicate") == duplicates


def config(**options):
    return DataConfig(path="a", image_shape=(8, 8, 1), **options)


def ledger(inputs=1000, rejected=0, dropped=0, leaks=0, eval_examples=100, bits=()):
    counts = {
        **{f"bits/{each}": 5 for each in bits},
        "inputs/train": inputs,
        "rejected/train": rejected,
        "dropped/duplicate": dropped,
        "noted/leak": leaks,
        "examples/train": inputs - rejected - dropped - eval_examples,
        "examples/eval": eval_examples,
    }
    lines = [Line("train", f"{n}.png", "bad", "it is broken") for n in range(min(rejected, 3))]
    leaked = [Line("train", "x.png", "leak", "the same as y.png in eval")] * min(leaks, 1)
    return Ledger(counts, lines, leaked)


QUARANTINE = {"on_bad_record": "quarantine"}


@pytest.mark.parametrize(
    ("found", "options"),
    [
        (ledger(), {}),
        (ledger(rejected=10), QUARANTINE),
        (ledger(rejected=400), {**QUARANTINE, "max_rejected_fraction": 0.5}),
        (ledger(leaks=3), {"on_leak": "keep"}),
        (ledger(dropped=5), {}),
        (ledger(bits=(3, 12, 15)), {}),
        (ledger(bits=(12,)), {"bits": 16}),
        (ledger(bits=(12,)), {"bits": 12}),
    ],
)
def test_accepted(found, options):
    found.check(config(**options), ["train", "eval"])


@pytest.mark.parametrize(
    ("found", "options", "message"),
    [
        (
            ledger(rejected=1),
            {},
            "^1 of 1000 records are bad: 0.png: it is broken; data.on_bad_record: quarantine",
        ),
        (ledger(rejected=9), {}, "0.png: .*; 1.png: .*; 2.png: .*; and 6 more;"),
        (
            ledger(rejected=11),
            QUARANTINE,
            "^11 of 1000 records are bad, more than data.max_rejected_fraction, 0.01: 0.png",
        ),
        (
            ledger(leaks=2),
            {},
            "2 records of train are in eval too: x.png: the same as y.png in eval; and 1 more",
        ),
        (
            ledger(bits=(3, 11)),
            {},
            r"^all 10 images of 16 bits use at most 11: .*nearly black; data\.bits: 12 scales 0 to "
            r"4,095 to the whole range, data\.bits: 16 keeps",
        ),
        (ledger(bits=(8,)), {}, r"at most 8: .*data\.bits: 8 scales 0 to 255"),
        (ledger(eval_examples=0), {}, "split 'eval' has no examples out of 1000 records"),
        (
            ledger(rejected=900),
            {**QUARANTINE, "max_rejected_fraction": 0.99},
            "split 'train' has no examples out of 1000 records, 900 of them bad: 0.png: ",
        ),
        (
            Ledger({"inputs/train": 5, "examples/train": 4}),
            {},
            "5 records were read, but 4 are accounted for",
        ),
        (Ledger({}), {}, "split 'train' has no examples out of 0 records"),
        (
            Ledger({"inputs/train": 30, "examples/train": 30, "noted/duplicate": 24}),
            {},
            "split 'eval' .* out of 30 records, 24 of them repeat another, and equal ones stay in",
        ),
    ],
)
def test_refused_in_one_line(found, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        found.check(config(**options), ["train", "eval"])
    assert "\n" not in str(caught.value)


def test_it_is_read_from_what_the_stage_left(tmp_path):
    lines = [Line("train", f"{n}.png", kind, "why") for n in range(9) for kind in ("leak", "bad")]
    text = "".join(line.to_json() + "\n" for line in lines[::-1])
    for name in ("rejected.jsonl", "notes.jsonl"):
        (tmp_path / name).write_text(text)
    (tmp_path / "counts.json").write_text(json.dumps({"inputs/train": 2, "inputs/eval": 3}))
    found = Ledger.of(str(tmp_path))
    assert found.count("inputs") == 5
    assert [(line.source, line.kind) for line in found.rejected] == [
        (f"{n}.png", "bad") for n in range(3)
    ]
    assert {line.kind for line in found.leaked} == {"leak"}
