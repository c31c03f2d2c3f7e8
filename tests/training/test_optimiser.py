"""Learning rates are those of the schedules."""

import pytest

from xpronet.errors import InputError
from xpronet.training.optimiser import TrainSettings, rate_factor


def test_step_schedule_decays_every_few_epochs() -> None:
    settings = TrainSettings(schedule="step", decay=0.8, decay_epochs=2)
    factors = [rate_factor(settings, step=epoch * 10, steps_per_epoch=10) for epoch in range(5)]
    assert factors == pytest.approx([1, 1, 0.8, 0.8, 0.64])


def test_one_cycle_rises_then_falls_to_nearly_nothing() -> None:
    settings = TrainSettings(schedule="one-cycle", epochs=10, warm_up=0.1)
    factors = [rate_factor(settings, step=step, steps_per_epoch=10) for step in range(100)]
    assert factors[9] == 1
    assert factors[:10] == sorted(factors[:10])
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0.01 <= factors[-1] < 0.02


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": -1.0}, {"decay": 0.0}, {"warm_up": 1.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"train.*{next(iter(wrong))}"):
        TrainSettings(**wrong)
