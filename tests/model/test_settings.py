from collections.abc import Iterator

import pytest
from jaxtyping import config

from xpronet.errors import InputError
from xpronet.model.settings import ModelSettings


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Leave types unchecked, as they are outside of tests: the settings must find wrong words themselves."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"heads": 0}, r"model\.heads = 0"),
        ({"width": 100}, r"model\.width = 100: .*model\.heads = 8"),
        ({"width": 9, "heads": 3}, r"model\.width = 9: must be even"),
        ({"layers": 0}, r"model\.layers = 0"),
        ({"gamma": 0}, r"model\.gamma = 0"),
        ({"dropout": 1.0}, r"model\.dropout = 1\.0"),
        ({"patch_dropout": -0.1}, r"model\.patch_dropout = -0\.1"),
        ({"bank_rows": 281}, r"model\.bank_rows = 281: must be a multiple of model\.per_finding = 20"),
        ({"project_bank": False}, r"model\.bank_width = 2816: must equal model\.width = 512"),
        ({"norm": "batch"}, r"model\.norm = 'batch': choose torch or published"),
        ({"visible": "some"}, r"model\.visible = 'some'"),
        ({"scale": "cube"}, r"model\.scale = 'cube'"),
        ({"fusion": "mul"}, r"model\.fusion = 'mul'"),
        ({"findings_pool": "sum"}, r"model\.findings_pool = 'sum'"),
    ],
)
def test_wrong_values_are_refused_by_name(wrong, told, unchecked):
    with pytest.raises(InputError, match=told):
        ModelSettings(**wrong)


def test_any_number_of_rows_where_all_are_visible():
    assert ModelSettings(visible="all", bank_rows=2047).bank_rows == 2047
