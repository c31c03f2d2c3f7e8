"""The command line: which verb does what, and how failures are told.

Exit status: 0 done; 1 the work failed; 2 the user's input or settings are wrong; 130 interrupted.
"""

import io
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated

from cyclopts import App, CycloptsError, Group, Parameter

from xpronet.device import DEVICE_VARIABLE, check_device_name
from xpronet.errors import InputError, WorkError
from xpronet.launch import THREADS_VARIABLE, environment_with, let_threads_sleep, read_launch
from xpronet.progress import QUIET_VARIABLE, format_duration

SECONDS_BEHIND_THE_FIRST = 3.0
"""How long other processes than the first wait before they tell of a mistake."""


def _version() -> str:
    from xpronet.commands.version import version_line  # imports torch

    return version_line()


# A flag that is not given is off: no --no-flag, no --empty-list. An argument that begins with a bracket is a file name,
# as browsers and copies make them, and no JSON.
PLAIN = Parameter(negative=(), json_list=False, json_dict=False)

HUB_QUIET_VARIABLE = "HF_HUB_DISABLE_PROGRESS_BARS"
"""Where the hub's client looks whether to show its own bars."""

app = App(
    name="xpronet",
    help="Draft radiology reports from chest X-ray studies, and show why. Research software, not a medical device.\n\n"
    "Exit status: 0 done; 1 the work failed; 2 the input or a setting is wrong; 130 interrupted.",
    version=_version,
    default_parameter=PLAIN,
    # `run` tells of an interrupt itself: how far the work came and how to go on.
    suppress_keyboard_interrupt=False,
)
prepare = App(name="prepare", help="Make a corpus folder.")
show = App(name="show", help="Draw what a model learned and why it wrote what it wrote.")

# Commands are named as strings, so that each is imported only when it is called.
prepare.command("xpronet.commands.prepare_phantom:phantom", name="phantom", help="Draw chest X-rays, with their truth.")
prepare.command("xpronet.commands.prepare_table:table", name="table", help="Take studies from a table and a folder.")
prepare.command("xpronet.commands.prepare_iu_xray:iu_xray", name="iu-xray", help="Indiana University's collection.")
prepare.command(
    "xpronet.commands.prepare_mimic_cxr:mimic_cxr", name="mimic-cxr", help="MIMIC-CXR, its official layout."
)
prepare.command(
    "xpronet.commands.prepare_outside:outside", name="outside", help="A layout that a reader of your own package knows."
)
prepare.command("xpronet.commands.prepare_check:check", name="check", help="Verify a corpus folder and sum it up.")
show.command("xpronet.commands.show_words:words", name="words", help="Draw where each word looked, and what answered.")
show.command("xpronet.commands.show_atlas:atlas", name="atlas", help="Draw a map of the prototypes.")
show.command("xpronet.commands.show_compare:compare", name="compare", help="Put reports beside the reference.")
show.command("xpronet.commands.show_curves:curves", name="curves", help="Draw how training went.")
show.command(
    "xpronet.commands.show_prototype:prototype", name="prototype", help="Draw what is nearest to one prototype."
)
show.command(
    "xpronet.commands.show_prototype:prototypes", name="prototypes", help="Write examples of all prototypes, for pages."
)
app.command("xpronet.commands.demo:demo", name="demo", help="Run the whole pipeline on drawn X-rays.")
app.command(prepare)
app.command("xpronet.commands.label:label", name="label", help="Read the findings from a corpus's reports.")
app.command("xpronet.commands.prototypes:prototypes", name="prototypes", help="Make each finding's prototypes.")
app.command("xpronet.commands.features:features", name="features", help="Compute image features once.")
app.command("xpronet.commands.pretrain:pretrain", name="pretrain", help="Train an image encoder on findings.")
app.command("xpronet.commands.train:train", name="train", help="Train a model by a recipe.")
app.command("xpronet.commands.watch:watch", name="watch", help="Show the state of a training run.")
app.command("xpronet.commands.generate:generate", name="generate", help="Generate reports for a corpus.")
app.command("xpronet.commands.gate:gate", name="gate", help="Fit the out-of-distribution gate of a model.")
app.command("xpronet.commands.calibrate:calibrate", name="calibrate", help="Calibrate the claims of a model.")
app.command("xpronet.commands.report:report", name="report", help="Generate a draft report about one study.")
app.command("xpronet.commands.serve:serve", name="serve", help="Serve a reading page and an HTTP interface.")
app.command("xpronet.commands.export:export", name="export", help="Export a model for another runtime.")
app.command("xpronet.commands.pack:pack", name="pack", help="Write a model into one folder to hand over.")
app.command("xpronet.commands.publish:publish", name="publish", help="Publish a model with its card.")
app.command("xpronet.commands.info:info", name="info", help="Say what a run, model, corpus or feature cache is.")
app.command("xpronet.commands.evaluate:evaluate", name="evaluate", help="Score predictions against references.")
app.command("xpronet.commands.convert:convert", name="convert", help="Write predictions in another project's form.")
app.command("xpronet.commands.ablate:ablate", name="ablate", help="Train and score a model without each of its parts.")
app.command("xpronet.commands.sweep:sweep", name="sweep", help="Train and score a model over values of a setting.")
app.command("xpronet.commands.rivals:rivals", name="rivals", help="Train and score the models of the paper's table 1.")
app.command("xpronet.commands.table:table", name="table", help="Show a table, beside the published numbers.")
app.command(show)
app.command(
    "xpronet.commands.constants:constants", name="constants", help="Score constant reports, which need no image."
)
app.command(
    "xpronet.commands.import_checkpoint:import_checkpoint",
    name="import-checkpoint",
    help="Import a checkpoint of the published code.",
)


app.register_install_completion_command(help="Let the shell complete commands and options (bash, zsh, fish).")
app.meta.group_parameters = Group("For every command", sort_key=100)
app.meta.default_parameter = PLAIN
app.meta.suppress_keyboard_interrupt = False


@app.meta.default
def _every_command(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    device: str | None = None,
    threads: int | None = None,
    quiet: bool = False,
    verbose: bool = False,
) -> None:
    """Run a command with the options that every command has; they may stand anywhere in the line.

    Args:
        words: the command and its own options.
        device: where PyTorch computes: cpu, cuda, cuda:1 or mps; by default the GPU where there is one.
        threads: CPU threads of a process; by default as the work divides best (or OMP_NUM_THREADS).
        quiet: show no progress: results, warnings and mistakes only.
        verbose: say what computes, how long it took, and where a mistake was found.
    """
    if quiet and verbose:
        raise InputError("--quiet and --verbose contradict each other; give one")
    if threads is not None and threads < 1:
        raise InputError(f"--threads {threads}: must be at least 1")
    if device is not None:
        check_device_name(device)
    settings = {
        DEVICE_VARIABLE: device,
        THREADS_VARIABLE: None if threads is None else str(threads),
        QUIET_VARIABLE: "1" if quiet else None,
        HUB_QUIET_VARIABLE: "1" if quiet else None,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    with environment_with(given), _narrated() if verbose else nullcontext():
        app(
            words,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
            end_of_options_delimiter="--",
        )


def _show_whole_help(words: list[str]) -> None:
    """Let a command whose help is asked for show all of its docstring; lists of commands show its short line."""
    if not {"--help", "-h"}.intersection(words):
        return
    # Help itself counts as a command.
    _, found, _ = app.parse_commands([word for word in words if not word.startswith("-")])
    if found[-1].default_command is not None:
        found[-1].help = None


@contextmanager
def _narrated() -> Iterator[None]:
    """Say on standard error what computes and how long it took, and where the user's mistakes were found."""
    sys.stderr.write(f"{_version()}\n")
    started = time.monotonic()
    try:
        yield
    except (InputError, WorkError):
        sys.stderr.write(traceback.format_exc())
        raise
    finally:
        sys.stderr.write(f"Took {format_duration(time.monotonic() - started)}\n")


def main() -> None:
    """Run the command line and exit."""
    let_threads_sleep()
    status = run(sys.argv[1:])
    if read_launch().count > 1:
        # Threads of the connections between processes may outlive the interpreter and abort what has ended well.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; the user's mistakes are one line on standard error."""
    _print_any_name()
    _show_whole_help(arguments)
    try:
        # What follows "--" is the command's affair.
        app.meta(
            arguments,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
            end_of_options_delimiter="",
        )
    except (InputError, CycloptsError) as error:
        _tell(one_line(error))
        return 2
    except WorkError as error:
        # Of several processes that lost another, one tells.
        if str(error):
            sys.stderr.write(f"xpronet: {one_line(error)}\n")
        return 1
    except KeyboardInterrupt as interrupted:
        if not read_launch().rank:
            sys.stderr.write(f"xpronet: {str(interrupted) or 'interrupted'}\n")
        return 130
    return 0


def _print_any_name() -> None:
    """Let file names that are not UTF-8, which Python keeps as lone surrogates, be printed with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _tell(line: str) -> None:
    """Write a line on standard error; of several processes with the same to tell, only the first does."""
    launch = read_launch()
    if launch.rank:
        # Where the first process has the same mistake, torchrun ends this one while it waits.
        time.sleep(SECONDS_BEHIND_THE_FIRST)
        line = f"{launch}: {line}"
    sys.stderr.write(f"xpronet: {line}\n")


def one_line(error: Exception) -> str:
    """Return an error's message on a single line."""
    return " ".join(str(error).split())
