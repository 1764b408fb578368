from hwds.core.settings import as_yaml, flatten


def test_values_have_dotted_paths():
    settings = {
        "model": {"units": 3, "name": "a", "space": {}},
        "rivals": [{"name": "b"}],
        "seed": 0,
    }
    plain = {"model.units": 3, "model.name": "a", "model.space": {}, "seed": 0}
    assert dict(flatten(settings)) == plain | {"rivals": [{"name": "b"}]}
    assert dict(flatten(settings, items=True)) == plain | {"rivals.0.name": "b"}
    assert next(flatten(settings["model"], "model")) == ("model.units", 3)
    assert list(flatten({})) == [("", {})]


def test_values_are_as_yaml_writes_them():
    assert [as_yaml(value) for value in (True, False, None, 1, 0.5, "a", "")] == [
        "true",
        "false",
        "null",
        "1",
        "0.5",
        "a",
        "''",
    ]
    assert as_yaml([1, None, ["a", True]]) == "[1, null, [a, true]]"
    assert as_yaml((1, 2), ",") == "[1,2]"
