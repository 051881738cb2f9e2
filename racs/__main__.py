"""``python -m racs`` is the program ``racs``."""

from racs.cli.main import cli

if __name__ == "__main__":
    cli(prog_name="racs")
