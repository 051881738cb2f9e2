"""Write the README's tables of commands and settings from the tables that the program runs by.

Run ``python -m scripts.reference`` after a change to either; a test fails while it is not current.
"""

from collections.abc import Callable
from pathlib import Path

from racs_server.commands import TABLE
from racs_server.config import FIELDS, show

README = Path(__file__).resolve().parents[1] / "README.md"


def settings_table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| option | default | bounds | what it is |", "| --- | --- | --- | --- |"]
    for name, field in FIELDS.items():
        metadata = field.metadata
        unit, least, most = metadata["unit"], metadata["least"], metadata["most"]
        bounds = ", ".join(metadata["choices"])
        if least is not None:
            bounds = f"{show(least, unit)} … {show(most, unit)}"
        default = show(field.default, unit)
        if name == "data_dir":
            default = "`racs` in the user's data folder"
        flag = f"`--{name.replace('_', '-')}`"
        rows.append(f"| {flag} | {default} | {bounds} | {metadata['doc']} |")
    return "\n".join(rows)


def commands_table() -> str:
    """Return the commands as a Markdown table."""
    rows = ["| command | arguments | result | what it does | example |", "| --- " * 5 + "|"]
    for spec in TABLE:
        names = " ".join(f"`{name}`" for name in (spec.name, *spec.aliases))
        piped = spec.when_piped.overloads if spec.when_piped else ()
        arguments = " or ".join(
            dict.fromkeys(
                ", ".join(f"{param.name} ({param.kind})" for param in overload.params) or "none"
                for overload in (*spec.overloads, *piped)
            )
        )
        example = spec.example.replace("|", "\\|")
        rows.append(f"| {names} | {arguments} | {spec.output} | {spec.doc} | `{example}` |")
    return "\n".join(rows)


TABLES: dict[str, Callable[[], str]] = {"commands": commands_table, "settings": settings_table}


def current(text: str) -> str:
    """Return the README's text with all tables made anew."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = f"{before}{start}{table()}\n{end}{after}"
    return text


if __name__ == "__main__":
    README.write_text(current(README.read_text(encoding="utf-8")), encoding="utf-8")
