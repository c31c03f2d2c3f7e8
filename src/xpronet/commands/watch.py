"""`xpronet watch`: the state of a training run."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from xpronet.training.run_folder import RunState


def watch(run: Path, /, *, follow: bool = False, seconds: float = 2.0) -> None:
    """Show the state of a training run.

    For example:

        xpronet watch run --follow

    Args:
        run: the run folder.
        follow: refresh until the run ends, or Ctrl-C.
        seconds: between two refreshes.
    """
    import time

    from rich.live import Live

    from xpronet.errors import InputError
    from xpronet.training.run_folder import read_state

    if seconds <= 0:
        raise InputError(f"--seconds {seconds}: must be more than 0")
    console = Console(highlight=False, markup=False)
    state = read_state(run)
    if not (follow and console.is_terminal):
        console.print(state_view(run, state))
        while follow and state.alive:
            time.sleep(seconds)
            state = read_state(run)
            console.print(state_view(run, state))
        return
    with Live(state_view(run, state), console=console, auto_refresh=False) as live:
        while state.alive:
            time.sleep(seconds)
            state = read_state(run)
            live.update(state_view(run, state), refresh=True)


def state_view(run: Path, state: "RunState") -> Table:
    """Return a run's state as a table of two columns that fits 80 by 24."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(run, state):
        table.add_row(name, value)
    return table


def _lines(run: Path, state: "RunState") -> Iterator[tuple[str, str]]:
    from xpronet.progress import format_duration

    yield "run", f"{run}: {state.status}"
    share = f" ({100 * state.step / state.steps:.0f} %)" if state.steps else ""
    yield "done", f"{state.epoch} of {state.epochs} epochs, step {state.step} of {state.steps}{share}"
    line = state.last_step
    if line is not None:
        yield "losses", f"step {line['step']}: {_numbers(line.get('train'))}"
        yield (
            "gradient",
            f"norm {line.get('gradient_norm', 0.0):.3g}, learning rate {line.get('learning_rate', 0.0):.2e}",
        )
        yield "speed", f"{line.get('studies_per_second', 0.0):.1f} studies a second"
    if state.last_epoch is not None:
        epoch = state.last_epoch
        yield "epoch", f"{epoch['epoch']}: train {_numbers(epoch.get('train'))}"
        yield "validation", _numbers(epoch.get("val"))
    if state.best_score is not None:
        yield "best", f"{state.best_score:.4f} after epoch {state.best_epoch}"
    if state.not_finite:
        yield "not finite", f"{state.not_finite} steps (the journal names their studies)"
    if state.alive and line is not None and "seconds_left" in line:
        yield "left", f"about {format_duration(max(0.0, line['seconds_left'] - (state.age or 0.0)))}"
    saved = "nothing yet" if state.saved is None else f"step {state.saved}"
    yield "saved", f"{saved}; started {state.starts} times" if state.starts > 1 else saved
    if state.age is not None:
        yield "last event", f"{format_duration(state.age)} ago"


def _numbers(values: Any) -> str:
    if not isinstance(values, dict):
        return "-"
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items() if isinstance(value, int | float))
