"""The commands: the one table of them, its checks, the handlers, and what runs them."""

from racs_server.commands.context import Context, Reader, Store
from racs_server.commands.encoding import Encoding
from racs_server.commands.evaluator import PoolEvaluator
from racs_server.commands.executor import Evaluations, Executor, Prepared
from racs_server.commands.procedures import changing_commands
from racs_server.commands.source import (
    TURN_BYTES,
    Piece,
    check_reply_size,
    gather,
    iter_blocks,
)
from racs_server.commands.spec import CommandSpec, CommandTable, Param, Value
from racs_server.commands.table import TABLE
from racs_server.commands.waveforms import advance

__all__ = [
    "TABLE",
    "TURN_BYTES",
    "CommandSpec",
    "CommandTable",
    "Context",
    "Encoding",
    "Evaluations",
    "Executor",
    "Param",
    "Piece",
    "PoolEvaluator",
    "Prepared",
    "Reader",
    "Store",
    "Value",
    "advance",
    "changing_commands",
    "check_reply_size",
    "gather",
    "iter_blocks",
]
