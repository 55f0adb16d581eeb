import pytest
from pydantic import ValidationError

from components.example_gen.config import DataConfig

SECTION = {"path": "data/digits", "format": "idx", "image_shape": [8, 8, 1]}


def test_the_recipe_key_of_the_schema_is_schema():
    config = DataConfig.model_validate({**SECTION, "schema": "schema.pbtxt"})
    assert config.schema_path == "schema.pbtxt"
    assert DataConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("path", "", "at least 1 character"),
        ("path", [], "at least one folder or file"),
        ("fit", "cover", "'exact', 'crop', 'pad' or 'stretch'"),
        ("filter", "nearest", "'lanczos'"),
        ("background", "whitish", "found 'whitish'; name a colour"),
        ("max_pixels", 10**9, "less than or equal to 178956970"),
        ("on_bad_record", "ignore", "'fail' or 'quarantine'"),
        ("max_rejected_fraction", 1, "less than 1"),
        ("on_leak", "ignore", "'fail', 'drop' or 'keep'"),
        ("labels", "labels.csv", "found 'labels.csv'"),
        ("features", {"image": "x"}, "IdxReader"),
        ("format", "idy", "unknown data format 'idy': did you mean 'idx'"),
        ("image_shape", [8, 8], "Field required"),
        ("image_shape", [3, 8, 1], "greater than or equal to 4"),
        ("image_shape", [8, 2000, 1], "less than or equal to 1024"),
        ("image_shape", [8, 8, 2], "1 or 3"),
        ("eval_fraction", 0, "greater than or equal to 0.001"),
        ("eval_fraction", 1, "less than or equal to 0.999"),
        ("splits", {"train": "a*", "test": "b*"}, "found train, test; name train and eval"),
        ("splits", {}, "found none"),
        ("bits", 7, "greater than or equal to 8"),
        ("bits", 17, "less than or equal to 16"),
        ("arrays", "images", "'image' or 'stack'"),
        ("arrays", "stack", "IdxReader"),
        ("encoding", "cp1252", "IdxReader"),
        ("header", False, "IdxReader"),
        ("divide_by", "row", "row is for tables"),
        ("shema", "x", "Extra inputs are not permitted"),
    ],
)
def test_impossible_values_name_the_key(key, value, message):
    with pytest.raises(ValidationError, match=f"(?s){key}.*{message}"):
        DataConfig.model_validate({**SECTION, key: value})


COLUMNS = {"path": "data/weather", "columns": ["wind", "rain"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": [8, 8, 1]}, "found both of image_shape and columns"),
        ({"columns": None}, "found neither of image_shape and columns"),
        ({"columns": []}, "columns.*at least 1 item"),
        ({"columns": ["wind", "wind"]}, "columns.*found 'wind' 2 times; name it once"),
        ({"format": "idx"}, "columns: IdxReader"),
        ({"format": "parquet"}, "columns: ParquetReader"),
        ({"columns": None, "image_shape": [8, 8, 1], "format": "table"}, "columns: .*found none"),
        ({"fit": "crop"}, "fit: .*found 'crop'"),
        ({"filter": "box"}, "filter: "),
        ({"background": "black"}, "background: "),
        ({"max_pixels": 9}, "max_pixels: "),
        ({"bits": 12}, "bits: "),
        ({"mirror": True}, "mirror: not used with columns, found True; leave it out"),
        ({"arrays": "image"}, "arrays: TableReader"),
        ({"encoding": "utf-9"}, "encoding: no encoding 'utf-9'"),
        ({"labels": "labels.csv"}, "labels: TableReader"),
        ({"features": {"image": "x"}}, "features.image: a table has no images"),
        ({"features": {"label": "wind"}}, "features.label: 'wind' is one of data.columns"),
    ],
)
@pytest.mark.parametrize("table", ["auto", "table"])
def test_what_columns_have_no_use_for(table, changes, message):
    with pytest.raises(ValidationError, match=f"(?s){message}"):
        DataConfig.model_validate({**COLUMNS, "format": table, **changes})


def test_the_configuration_of_columns_comes_back():
    config = DataConfig.model_validate({**COLUMNS, "features": {"label": "kind"}})
    again = DataConfig.from_reading(config.for_reading())
    assert (again.spec, again.features) == (config.spec, config.features)
    assert again.spec.shape == (2,)


def test_mirroring_reads_no_data_again():
    plain, mirrored = (DataConfig.model_validate({**SECTION, "mirror": m}) for m in (False, True))
    assert mirrored.mirror
    assert mirrored.for_reading() == plain.for_reading()


@pytest.mark.parametrize("splits", [{"train": "a*", "eval": "b*"}, {"everything": "*"}, None])
def test_splits(splits):
    assert DataConfig.model_validate({**SECTION, "splits": splits}).splits == splits
