"""The command lines in a page of Markdown."""

import re

EXPLANATION = re.compile(r"\s+#.*$|\s{2,}.*$")
"""What follows a command on its line: a comment, or a second column that says what the command does."""
CONTINUED = re.compile(r"\s*\\\n\s*|\n\s*(?=--[a-z])")
"""The end of a line that the next one continues: by a backslash, or as YAML folds lines."""
LAUNCHED = re.compile(r"-m (xpronet .*)")
"""A command that torchrun starts."""


def commands_of(markdown: str) -> list[str]:
    """Return every line of an indented or fenced block that runs `xpronet`, continuations joined, nothing after it."""
    commands = []
    for line in CONTINUED.sub(" ", _code(markdown)).splitlines():
        line = line.strip()
        launched = LAUNCHED.search(line)
        if line.startswith("xpronet "):
            commands.append(EXPLANATION.sub("", line))
        elif launched is not None and not line.startswith("#"):
            # What the shell fills in comes last.
            commands.append(launched[1].partition(" $")[0])
    return commands


def _code(markdown: str) -> str:
    """Return the lines of code blocks."""
    lines, fenced = [], False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append(line)
    return "\n".join(lines)
