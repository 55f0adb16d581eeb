"""Which pushed models a candidate is compared with."""

import pytest

from components.common import files, saved_models
from components.evaluator.baseline import blessed_before


@pytest.fixture
def write(tmp_path):
    """Writes a model, which is its content, and what it was blessed with."""

    def write(folder, content, *record):
        path = str(tmp_path / folder)
        files.write(f"{path}/saved_model.pb", content.encode())
        files.write(f"{path}/variables/variables.index", b"1")
        if record:
            saved_models.save_blessing(
                path, dict(zip(("fid", "extractor_id"), record, strict=True))
            )
        return path

    return write


A, B, C = (1, "a", 20.0, "e"), (4, "b", 29.0, "e"), (12, "c", 25.0, "e")


@pytest.mark.parametrize(
    ("pushed", "candidate", "latest", "best"),
    [
        # Version, content, FID, extractor; the candidate's content; the versions that are found.
        pytest.param([], "a", None, None, id="first run"),
        pytest.param([A], "a", None, None, id="a candidate is not its own baseline"),
        pytest.param([A, B, C], "d", 12, 1, id="the highest version, and the lowest FID"),
        pytest.param([A, B, C], "c", 4, 1, id="as when the candidate was pushed"),
        pytest.param([A, B, C], "b", 1, 1, id="younger models are passed over"),
        pytest.param([B, (5, "x", 29.0, "e")], "d", 5, 5, id="the latest of equals"),
        pytest.param([(1, "a", 9.0, "o"), B], "d", 4, 4, id="another extractor"),
        pytest.param([(1, "a", 9.0, "o")], "d", 1, None, id="a new extractor"),
        pytest.param([(1, "a"), B], "d", 4, 4, id="no FID is not a FID of 0"),
        pytest.param([(1, "a", float("nan"), "e"), B], "d", 4, 4, id="not a number"),
    ],
)
def test_the_latest_and_the_best_model_before_the_candidate(
    write, tmp_path, pushed, candidate, latest, best
):
    for version, *model in pushed:
        write(f"serving/{version}", *model)
    (tmp_path / "serving" / ".staging").mkdir(parents=True)
    serving = str(tmp_path / "serving")

    found = blessed_before(serving, write("candidate", candidate), "e")

    assert found == {
        name: "" if version is None else f"{serving}/{version}"
        for name, version in (("latest", latest), ("best", best))
    }


def test_a_serving_folder_need_not_exist(write, tmp_path):
    found = blessed_before(str(tmp_path / "none"), write("candidate", "a"), "e")
    assert found == {"latest": "", "best": ""}


def test_a_damaged_record_is_named(write):
    path = write("serving/1", "a")
    files.write(f"{path}/assets.extra/blessing.json", b"{")
    with pytest.raises(ValueError, match=r"serving/1/assets.extra/blessing.json: not JSON"):
        blessed_before(path.removesuffix("/1"), write("candidate", "b"), "e")
