"""Write the README's tables of commands and settings from the tables that the program runs by.

Run ``python -m scripts.reference`` after a change to either; a test fails while it is not current.
"""

import re
from pathlib import Path

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
        if isinstance(field.default, Path):
            default = "`racs` in the user's data folder"
        flag = f"`--{name.replace('_', '-')}`"
        rows.append(f"| {flag} | {default} | {bounds} | {metadata['doc']} |")
    return "\n".join(rows)


TABLES = {"settings": settings_table}


def current(text: str) -> str:
    """Return the README's text with all tables made anew."""
    for name, table in TABLES.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = pattern.sub(lambda match, table=table: f"{match[1]}{table()}\n{match[2]}", text)
    return text


if __name__ == "__main__":
    README.write_text(current(README.read_text(encoding="utf-8")), encoding="utf-8")
