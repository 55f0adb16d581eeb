import pickle

from hypothesis import given
from hypothesis import strategies as st

from components.example_gen.files.labels import Entry
from components.example_gen.files.packing import Packed
from components.example_gen.formats.classes import Class
from components.example_gen.formats.folder import FolderReader

ENTRIES = st.builds(
    Entry,
    # Names that are not UTF-8 hold surrogates.
    st.text(st.characters(exclude_characters="\0")),
    st.builds(Class, st.none() | st.integers(0), st.none() | st.text()),
    st.none() | st.text(),
)


@given(st.lists(ENTRIES))
def test_items_come_back(entries):
    packed = Packed.of(entries)
    assert len(packed) == len(entries)
    assert list(packed) == list(pickle.loads(pickle.dumps(packed))) == entries


def test_a_file_of_a_large_folder_takes_some_bytes(tmp_path):
    for index in range(1024):
        path = tmp_path / f"{index % 3}" / f"{index:04d}.png"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    shards = FolderReader().shards(str(tmp_path), {"all": "*/*"})["all"]
    assert sum(len(pickle.dumps(shard)) for shard in shards) < 16 * 1024
