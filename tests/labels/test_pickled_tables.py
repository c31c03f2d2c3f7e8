import collections
import contextlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.errors import InputError
from xpronet.labels.pickled_tables import read_pickled


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_of_every_protocol(tmp_path, protocol):
    table = {
        "a": np.array([1, 0, -1], dtype=np.int64),
        "b": np.array([[1.5, np.nan]], dtype=">f4"),
        "c": np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3)),
        "d": ["text", (1, 2.5, None, True), {"x"}],
        "e": np.float32(0.25),
        "f": np.array(["yes", "no"]),
        "g": collections.OrderedDict(z=1),
        "h": b"bytes",
    }
    path = tmp_path / "table.pkl"
    path.write_bytes(pickle.dumps(table, protocol=protocol))
    read = read_pickled(path)
    assert read.keys() == table.keys()
    for name in "abcf":
        np.testing.assert_array_equal(read[name], table[name])
    assert read["d"] == table["d"]
    assert read["e"] == 0.25
    assert read["g"] == {"z": 1}
    assert read["h"] == b"bytes"


class Runs:
    def __init__(self, function, *arguments):
        self.reduction = (function, arguments)

    def __reduce__(self):
        return self.reduction


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Runs(os.system, "touch ran"), "system"),
        (Runs(eval, "open('ran', 'w')"), "eval"),
        (Path("ran"), "Path"),
        (np.array([Runs(os.system, "touch ran")], dtype=object), "system"),
        (np.array([{}], dtype=object), "object"),
        (np.zeros(2, dtype=[("a", "i4")]), "V"),
        (np.ndarray, "where labels should be"),
    ],
)
def test_anything_else_is_refused_by_name_and_does_not_run(tmp_path, monkeypatch, value, named):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "table.pkl"
    path.write_bytes(pickle.dumps({"a": value}))
    with pytest.raises(InputError) as caught:
        read_pickled(path)
    assert named in str(caught.value)
    assert not (tmp_path / "ran").exists()


WHOLE = pickle.dumps({"a": np.arange(14), "b": ["x", 1.5, {"c"}]}, protocol=4)


@given(st.binary(max_size=20), st.integers(0, len(WHOLE)), st.integers(0, 20))
def test_damaged_files_raise_nothing_else(tmp_path_factory, data, start, length):
    path = tmp_path_factory.mktemp("pickles") / "table.pkl"
    path.write_bytes(WHOLE[:start] + data + WHOLE[start + length :])
    with contextlib.suppress(InputError):
        read_pickled(path)


def test_cut_and_missing_files(tmp_path):
    path = tmp_path / "table.pkl"
    path.write_bytes(pickle.dumps({"a": np.arange(14)})[:-20])
    with pytest.raises(InputError, match="not a pickle"):
        read_pickled(path)
    with pytest.raises(InputError, match="no such file"):
        read_pickled(tmp_path / "none.pkl")
