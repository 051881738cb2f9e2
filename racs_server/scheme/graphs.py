"""Walks over pairs and vectors, which may be deep, shared, or within themselves.

Nothing here recurses, or looks at anything twice.
"""

from collections.abc import Iterator, Sequence

from racs_server.scheme.values import Pair, Value, Vector


def parts_of(item: Value) -> Sequence[Value]:
    """Return what a pair or a vector holds; other values hold nothing."""
    if isinstance(item, Pair):
        return (item.car, item.cdr)
    return item if isinstance(item, Vector) else ()


def everything(value: Value) -> Iterator[Value]:
    """Iterate over a value and all that it holds, each pair and each vector once.

    What is put into one of them when it comes is what is looked at afterwards.
    """
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Pair | Vector):
            if id(item) in seen:
                continue
            seen.add(id(item))
        yield item
        pending.extend(parts_of(item))


def reached_twice(value: Value, circles: bool) -> set[int]:
    """Return the ids of the pairs and vectors within themselves, or of all that are shared."""
    found: set[int] = set()
    done: set[int] = set()
    around: set[int] = set()
    pending = [(value, False)]
    while pending:
        item, leaving = pending.pop()
        if leaving:
            around.discard(id(item))
        elif id(item) in around or (id(item) in done and not circles):
            found.add(id(item))
        elif isinstance(item, Pair | Vector) and id(item) not in done:
            done.add(id(item))
            around.add(id(item))
            pending.append((item, True))
            pending.extend((part, False) for part in reversed(parts_of(item)))
    return found
