from collections.abc import Callable, Sequence

import pytest
import tensorflow as tf
from tensorflow_data_validation.statistics import stats_impl
from tfx_bsl.coders import example_coder

from components.data_validator import statistics
from components.data_validator.checks import Statistics


@pytest.fixture(scope="session")
def statistics_of() -> Callable[[Sequence[bytes]], Statistics]:
    """Counts serialized tf.Examples, as StatisticsGen does, without Beam, which takes longer."""

    def count(records: Sequence[bytes]) -> Statistics:
        batch = example_coder.ExamplesToRecordBatchDecoder().DecodeBatch(list(records))
        return stats_impl.generate_statistics_in_memory(batch, statistics.options())

    return count


@pytest.fixture(scope="session")
def statistics_of_files(statistics_of) -> Callable[[Sequence[str]], Statistics]:
    """Counts the tf.Examples of gzipped TFRecord files."""

    def count(files: Sequence[str]) -> Statistics:
        return statistics_of(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())

    return count
