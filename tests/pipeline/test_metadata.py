import pytest

from pipeline import metadata


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "metadata.sqlite"
    path.write_text("garbage " * 200)
    with pytest.raises(ValueError, match="metadata.sqlite: file is not a database; move it away"):
        metadata.connection_config(str(path))


def test_a_stage_that_never_ran_is_named(tmp_path):
    connection = metadata.connection_config(str(tmp_path / "metadata.sqlite"))
    with pytest.raises(LookupError, match="Pusher of digits has not run yet"):
        metadata.last_execution(connection, "digits", "Pusher")
