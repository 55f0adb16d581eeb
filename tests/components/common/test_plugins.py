import pytest

from components.common import plugins


@pytest.mark.parametrize(
    ("name", "expected"), [("dcgan", False), ("mine:make", True), ("my.own.parts:make_2", True)]
)
def test_the_form_says_whose_function_it_is(name, expected):
    assert plugins.is_import_path(name) is expected


@pytest.mark.parametrize("name", [":", "mine:", ":make", "a b:make", "a:b:c", "1a:b", "a..b:c"])
def test_a_wrong_form_is_refused_without_an_import(name):
    with pytest.raises(ValueError, match="is not of the form module:function"):
        plugins.is_import_path(name)


@pytest.mark.parametrize("path", ["nowhere:make", "nowhere.at.all:make", "os.nowhere:make"])
@pytest.mark.parametrize("find", [plugins.source_file, plugins.load])
def test_a_missing_module_is_named(find, path):
    with pytest.raises(ValueError, match=f"{path}: no module .*PYTHONPATH"):
        find(path)


def test_the_function_of_a_module_and_its_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "my_own_parts.py"
    module.write_text("number = 3\ndef make(): return number\n")

    assert plugins.source_file("my_own_parts:make") == module
    assert plugins.load("my_own_parts:make")() == 3
    for name in ("mke", "number"):
        with pytest.raises(ValueError, match=f"has no function '{name}': .*known: make$"):
            plugins.load(f"my_own_parts:{name}")


def test_what_a_module_itself_lacks_is_not_taken_for_the_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "needs_more.py").write_text("import a_package_that_is_not_there")

    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        plugins.load("needs_more:make")
