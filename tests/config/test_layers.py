"""Values over values: another spelling of a number is the same number."""

import pytest

from configs import ROOT
from diffusion4k.config import fidelity, layers
from diffusion4k.config import resolve as config


@pytest.mark.parametrize(
    ("own", "below", "found"),
    [
        ({"a": 1}, [{"a": 1.0}], {"a": 1.0}),
        ({"a": 1}, [{"a": 2.0}, {"a": 1.0}], {"a": 1.0}),
        ({"a": 1}, [{"a": 2.0}, {"a": {}}, {}], {"a": 1}),
        ({"a": [1, 2]}, [{"a": [1.0, 2.0]}], {"a": [1.0, 2.0]}),
        ({"a": {"b": 0}}, [{"a": {"b": 0.0}}], {"a": {"b": 0.0}}),
        ({"a": {"b": 0}}, [{"a": 0.0}], {"a": {"b": 0}}),
        ({"a": True}, [{"a": 1}], {"a": True}),
        ({"a": 0}, [{"a": False}], {"a": 0}),
        ({"a": [{"b": 1}]}, [{"a": [{"b": True}]}], {"a": [{"b": 1}]}),
        ({"a": None}, [{"a": 0}], {"a": None}),
    ],
)
def test_the_lowest_equal_value_says_how_it_is_written(own, below, found):
    assert repr(layers.respelled(own, below)) == repr(found)


@pytest.mark.parametrize(
    ("files", "line", "found"),
    [
        (["x: 5", "x: {a: 1}"], {}, {"b": 2, "a": 1}),
        (["x: null", "x: {a: 1}"], {}, {"b": 2, "a": 1}),
        (["x: {a: 1}", "x: 5"], {}, 5),
        (["x: {b: 2.0}"], {"x": {"c": 3}}, {"b": 2, "c": 3}),
    ],
)
def test_what_is_given_is_merged_as_snakemake_does(tmp_path, files, line, found):
    from snakemake.utils import update_config

    (tmp_path / "default.yaml").write_text("x: {b: 2}\n", encoding="utf-8")
    own, paths = {}, []
    for number, text in enumerate(files):
        paths.append(tmp_path / f"{number}.yaml")
        paths[-1].write_text(text, encoding="utf-8")
        update_config(own, config.read(paths[-1]))
    update_config(own, line)
    made = config.merged(own, paths, [tmp_path / "default.yaml"], tmp_path)
    assert repr(made) == repr({"x": found})


def test_no_file_of_ours_writes_a_number_otherwise_than_those_below_it():
    """Else naming it as a base or as a file would be different flags."""
    default = config.read(ROOT / "config/config.yaml")
    rows = {key: list(values) for row in fidelity.ROWS.values() for key, values in row.items()}
    for path in (ROOT / "config").glob("*.yaml"):
        own = config.read(path)
        below = [default, *_bases(own)]
        assert repr(layers.respelled(own, below)) == repr(own), path
        for key, values in rows.items():
            value = own
            for name in key.split("."):
                value = value.get(name, {}) if isinstance(value, dict) else {}
            assert repr(layers.spelled(value, values)) == repr(value), (path, key)


def _bases(own: dict) -> list[dict]:
    if "base" not in own:
        return []
    base = config.read(ROOT / f"config/{own['base']}.yaml")
    return [*_bases(base), base]
