import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xpronet.labels.findings import ABNORMALITIES
from xpronet.phantom.record import PARENCHYMAL, draw_record, truth


@given(present=st.frozensets(st.sampled_from(ABNORMALITIES), max_size=5), seed=st.integers(0, 10_000))
@settings(max_examples=150, deadline=None)
def test_records_hold_what_is_present_in_places_that_can_be_seen(present: frozenset[str], seed: int) -> None:
    record = draw_record(present, np.random.default_rng(seed))
    assert set(record) == present
    assert list(record) == [finding for finding in ABNORMALITIES if finding in present]
    cells = [(one.side, one.zone) for finding in PARENCHYMAL for one in record.get(finding, ())]
    hidden = {
        (side, "lower") for one in record.get("Pleural Effusion", ()) for side in one.sides if one.severity != "small"
    }
    # Four lung findings and a cap of five leave a free zone for each.
    assert len(set(cells)) == len(cells)
    assert not hidden & set(cells)
    assert json.loads(json.dumps(truth(record))).keys() == record.keys()


def test_devices_have_a_kind_and_others_a_severity() -> None:
    for seed in range(20):
        record = draw_record(frozenset({"Support Devices", "Edema"}), np.random.default_rng(seed))
        assert all(one.kind and one.severity is None for one in record["Support Devices"])
        assert all(one.severity for one in record["Edema"])
