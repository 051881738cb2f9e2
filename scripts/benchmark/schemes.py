"""Other interpreters of Scheme in Python: ``python schemes.py NAME PROGRAM`` prints a value and ms.

Runs by itself, in the environment that ``scripts/schemes.sh`` makes: nothing of this project is
imported. Only evaluating counts, not the import.
"""

import sys
import time
from collections.abc import Callable

Run = Callable[[str], object]


def calysto_scheme() -> Run:
    """Compile what it can to Python."""
    from calysto_scheme import scheme

    run: Run = scheme.execute_string_rm
    return run


def skime() -> Run:
    """Compile to instructions of a virtual machine."""
    from skime.compiler.compiler import Compiler
    from skime.compiler.parser import parse
    from skime.vm import VM

    machine, compiler = VM(), Compiler()
    return lambda text: machine.run(compiler.compile(parse(f"(begin {text})"), machine.env))


def smallscheme() -> Run:
    """Walk trees."""
    from smallscheme.env import Env
    from smallscheme.scheme import evalu, parse_str

    env = Env()
    return lambda text: [evalu(each, env) for each in parse_str(text)][-1]


def pyscheme() -> Run:
    """Walk trees."""
    from pyscheme.evaluator import new_env, run

    env = new_env()
    return lambda text: run(text, env)


SCHEMES = {each.__name__: each for each in (calysto_scheme, skime, smallscheme, pyscheme)}


def main() -> None:
    """Evaluate a program with one of them."""
    name, program = sys.argv[1:]
    run = SCHEMES[name]()
    began = time.perf_counter()
    value = run(program)
    print(value, 1000 * (time.perf_counter() - began))


if __name__ == "__main__":
    main()
