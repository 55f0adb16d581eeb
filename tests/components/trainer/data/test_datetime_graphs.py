import datetime

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data import datetimes
from components.trainer.data import datetime_graphs


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S.%f", "%d/%b/%y", "%B, 100 %%", "%M'%S"])
@settings(deadline=None)
@given(
    moments=st.lists(
        st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)), min_size=1
    )
)
def test_graphs_write_what_python_writes(form, moments):
    since = [datetimes.microseconds(moment) for moment in moments]

    found = datetime_graphs.text(tf.constant(since, tf.int64), form).numpy()

    assert [text.decode() for text in found] == [datetimes.text(each, form) for each in since]
