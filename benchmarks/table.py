"""Run the speed benchmarks and write their figures into docs/explanation/performance.md, between its two marks.

python benchmarks/table.py [--small]
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "explanation" / "performance.md"
BEGIN, END = "<!-- written by benchmarks/table.py -->", "<!-- end -->"
BENCHMARKS = ("step", "decode", "prototypes", "memory", "loader")
UNITS = {"seconds": " s", "bound_seconds": " s (bound)", "mebibytes": " MiB", "studies_per_second": " studies/s"}


def main() -> None:
    """Measure, print each result, rewrite the page."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--help"]
    results = []
    for name in BENCHMARKS:
        script = HERE / f"{name}.py"
        if not script.is_file():
            continue
        done = subprocess.run([sys.executable, script, *arguments], check=True, text=True, stdout=subprocess.PIPE)
        print(done.stdout, flush=True)
        results.append({"benchmark": name, **json.loads(done.stdout)})
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        sys.exit(f"{PAGE}: the marks of the table are missing")
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(results)}\n{END}{after}", encoding="utf-8")


def table(results: list[dict[str, Any]]) -> str:
    """Return all results as Markdown."""
    machines = {
        ", ".join(f"{key} {value}" for key, value in result["machine"].items() if value)
        for result in results
        if isinstance(result.get("machine"), dict)
    }
    lines = [f"Measured on: {'; '.join(sorted(machines))}.", "", "| benchmark | figure | median | least to most |"]
    lines.append("| --- | --- | --- | --- |")
    for result in results:
        name = result["benchmark"]
        sizes = ", ".join(f"{value} {key}" for key, value in result.get("sizes", {}).items())
        if sizes:
            lines.append(f"| {name} | sizes: {sizes} | | |")
        for key, unit in UNITS.items():
            figures = result.get(key, {})
            for what, found in (figures if isinstance(figures, dict) else {key: figures}).items():
                lines.append(row(name, what, found, unit))
        for what, found in result.get("ratios", {}).items():
            lines.append(f"| {name} | **{what}** | **{found}** | |")
    return "\n".join(lines) + "\n"


def row(name: str, what: str, found: Any, unit: str) -> str:
    """Return one line: a spread, or a single figure."""
    if isinstance(found, dict):
        return f"| {name} | {what} | {found['median']:.4g}{unit} | {found['least']:.4g} to {found['most']:.4g} |"
    return f"| {name} | {what} | {found:.4g}{unit} | |"


if __name__ == "__main__":
    main()
