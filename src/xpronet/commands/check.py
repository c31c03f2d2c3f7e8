"""`xpronet check`: does the network compute here what it should, and what works on this machine?"""

from rich.console import Console


def check(*, exported: bool = False) -> None:
    """Compare a report that is computed here with a stored one, and say what works on this machine.

    The report is about a drawn study, by the small model that comes with the package; text and findings must be the
    stored ones, and all numbers within a tolerance. The exit status is 1 where they are not; what is not installed does
    not change it.

    For example:

        xpronet check

    Args:
        exported: also export the model, and compute the report in ONNX Runtime and OpenVINO where these are installed;
            takes some minutes.
    """
    from xpronet.commands.version import version_line
    from xpronet.errors import WorkError
    from xpronet.experiment.capabilities import capabilities
    from xpronet.experiment.self_check import check_reports, largest_drawing_difference

    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(version_line())
    console.print("\nThe report about a drawn study, beside the stored one")
    compared = check_reports(exported=exported, notify=lambda line: console.print(f"  {line}"))
    difference = largest_drawing_difference()
    console.print(f"  The study drawn anew: {difference} of 255 grey values from the stored images at most, 1 allowed")
    console.print("\nWhat works here")
    for capability in capabilities():
        console.print(f"  {capability.line()}")
    wrong = [comparison for comparison in compared if not comparison.is_right]
    if wrong:
        raise WorkError(f"{len(wrong)} of {len(compared)} reports are not the stored one: reports from here mislead")
    if difference > 1:
        raise WorkError("X-rays are drawn otherwise here: corpora of drawn X-rays are not those of other machines")
    console.print(f"\nAll {len(compared)} reports are the stored one.")
