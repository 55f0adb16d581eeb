from hypothesis import given, settings
from hypothesis import strategies as st

from components.common.config import flatten

_leaves = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
_keys = st.sampled_from(["a", "b", "batch_size"])
_trees = st.dictionaries(
    _keys, st.recursive(_leaves, lambda tree: st.dictionaries(_keys, tree), max_leaves=8)
)


@settings(deadline=None, max_examples=50)
@given(_trees)
def test_dotted_keys_lead_to_the_leaves(tree):
    for key, leaf in flatten(tree).items():
        found = tree
        for part in key.split("."):
            found = found[part]
        assert found == leaf
