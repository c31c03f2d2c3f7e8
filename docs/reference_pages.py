"""What is made when the site is built: pages of the commands and of the settings, and the tutorial of its notebook."""

import ast
import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import docstring_parser
import tomli_w
from cyclopts import App

from xpronet.cli import app
from xpronet.experiment.recipe import PRESETS, Recipe
from xpronet.pretrain.settings import PretrainRecipe
from xpronet.rivals.captioner import CaptionerSettings
from xpronet.rivals.graph_kerp import KERPSettings
from xpronet.rivals.graph_sentsat import SentSATSettings
from xpronet.rivals.hierarchical_cmas import CMASSettings
from xpronet.rivals.hierarchical_coat import CoATSettings
from xpronet.rivals.hierarchical_hrgr import HRGRSettings
from xpronet.rivals.ratchet import RatchetSettings

RIVALS: dict[str, type] = {
    "st, adaatt, att2in, topdown": CaptionerSettings,
    "cmas": CMASSettings,
    "coat": CoATSettings,
    "hrgr": HRGRSettings,
    "kerp": KERPSettings,
    "ratchet": RatchetSettings,
    "sentsat_kg": SentSATSettings,
}
"""The settings in `[model.options]` of the report models of table 1, by `model.name`."""

CODE = re.compile(r"(`[^`]*`)")
OPTION = re.compile(r"(?<![\w`-])--[a-z][\w-]*")
SPECIAL = re.compile(r"([*_<>\[\]{}$|])")


def commands() -> str:
    """Return a section for each command, from its signature and its docstring."""
    return "\n".join(_command(path, command) for path, command in _each_command(app, ("xpronet",)))


def settings() -> str:
    """Return a section for each table of a recipe, of the rivals' options and of a recipe of `xpronet pretrain`."""
    return "\n".join(
        [
            *_tables(Recipe, "", PRESETS),
            *(part for name, kind in RIVALS.items() for part in _tables(kind, "model.options", {}, above=f"{name}: ")),
            *_tables(PretrainRecipe, "", {}, above="xpronet pretrain: "),
        ]
    )


def notebook(text: str) -> str:
    """Return a notebook as Markdown: its prose, and its code in blocks."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells)


MADE: dict[str, Callable[[], str]] = {"commands": commands, "settings": settings}
"""What stands in a page in place of `<!-- made: NAME -->`."""


def _each_command(parent: App, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in sorted(name for name in parent if not name.startswith("-")):
        child = parent[name]
        if child.default_command is not None:
            yield (*path, name), child
        else:
            yield from _each_command(child, (*path, name))


def _command(path: tuple[str, ...], command: App) -> str:
    function = command.default_command
    assert callable(function)
    described = docstring_parser.parse(inspect.getdoc(function) or "")
    helps = {parameter.arg_name: parameter.description or "" for parameter in described.params}
    arguments = []
    for argument in command.assemble_argument_collection(default_parameter=app.default_parameter):
        if argument.names[0] == "*":  # a dataclass whose fields are options: they follow by themselves
            for kind in get_args(argument.hint):
                helps.update(_field_notes(kind) if dataclasses.is_dataclass(kind) else {})
        else:
            arguments.append(argument)
    usage = [_named(argument) for argument in arguments if argument.required]
    if any(not argument.required for argument in arguments):
        usage.append("[OPTIONS]")
    lines = [f"## {' '.join(path)}\n", f"```text\n{' '.join([*path, *usage])}\n```\n"]
    lines += [f"{_plain(text)}\n" for text in (described.short_description, described.long_description) if text]
    for argument in arguments:
        help_text = helps.get(argument.field_info.name, "")
        lines.append(f"`{_named(argument)}`\n: {_plain(_sentence(help_text) + _facts(argument))}\n")
    return "\n".join(lines)


def _named(argument: Any) -> str:
    """Return `--out PATH`, `--overwrite` or `RUN`."""
    name = argument.names[0]
    kinds = [kind for kind in get_args(argument.hint) or (argument.hint,) if kind not in (type(None), ...)]
    several = " ..." if get_origin(argument.hint) in (tuple, list) else ""
    if not name.startswith("-"):
        return f"{name}{several}"
    if argument.hint is bool:
        return name
    known = {"Path": "PATH", "int": "N", "float": "NUMBER", "str": "TEXT"}
    return f"{name} {known.get(getattr(kinds[0], '__name__', ''), 'CHOICE')}{several}"


def _facts(argument: Any) -> str:
    """Return what the docstring of an option does not say: its choices and its default."""
    facts = ""
    if argument.get_choices():
        facts += f" One of {', '.join(f'`{choice}`' for choice in argument.get_choices())}."
    default = argument.field_info.default
    if argument.required:
        return f"{facts} Required." if argument.names[0].startswith("-") else facts
    if default in (None, False, ()) or default is inspect.Parameter.empty:
        return facts
    return f"{facts} Default: `{default if not isinstance(default, tuple) else ' '.join(map(str, default))}`."


def _tables(kind: type, prefix: str, presets: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield the section of a settings class, then those of the classes among its fields."""
    hints, notes = get_type_hints(kind), _field_notes(kind)
    fields = [field for field in dataclasses.fields(kind) if not dataclasses.is_dataclass(hints[field.name])]
    title = f"`[{prefix}]`" if prefix else "Top of the file"
    yield f"## {above}{title}\n\n{_plain(inspect.getdoc(kind) or '')}\n"
    for field in fields:
        others = [
            f"preset {name} {_toml(values[field.name])}"
            for name, tree in presets.items()
            if field.name in (values := tree.get(prefix, {}) if prefix else {})
        ]
        default = ", ".join([_toml(_default(field)), *others])
        yield f"`{field.name}` = {default}\n: {_plain(notes.get(field.name, ''))}{_choices(hints[field.name])}\n"
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _tables(hints[field.name], f"{prefix}.{field.name}".lstrip("."), presets, above)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _toml(value: Any) -> str:
    """Return a value as a recipe has it."""
    if value is None:
        return "(no default)"
    if isinstance(value, dict):
        return "`{}`"
    return f"`{tomli_w.dumps({'x': list(value) if isinstance(value, tuple) else value}).removeprefix('x = ').strip()}`"


def _choices(hint: Any) -> str:
    if get_origin(hint) is not Literal:
        return ""
    return f" One of {', '.join(_toml(choice) for choice in get_args(hint))}."


def _field_notes(kind: type) -> dict[str, str]:
    """Return the line under each field of a dataclass, which Python itself does not keep."""
    [body] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    notes = {}
    for statement, after in zip(body.body, body.body[1:], strict=False):
        named = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
        if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            notes[statement.target.id] = inspect.cleandoc(str(after.value.value))
    return notes


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] if text else ""


def _plain(text: str) -> str:
    """Return text whose special characters mean nothing to Markdown, apart from code in backticks."""
    parts = CODE.split(OPTION.sub(lambda option: f"`{option[0]}`", text) if "`" not in text else text)
    return "".join(part if part.startswith("`") else SPECIAL.sub(r"\\\1", part) for part in parts)
