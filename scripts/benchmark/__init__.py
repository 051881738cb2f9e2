"""The benchmark: see `scripts.benchmark.__main__`."""
