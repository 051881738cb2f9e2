"""A bit flipped at every byte of small files of each kind: found out or harmless, never silent.

Of segments every 11th byte is tried, and every 61st of the catalogue, which is large for it is a
database; with ``RACS_EVERY_BYTE=1`` every one.
"""

import os
from functools import partial

import pytest

from racs_server.storage import Durability
from tests.storage.expected import check_rotten
from tests.storage.model import StoreModel

STRIDES = {".wav": 11, "catalog": 61}
EVERY = os.environ.get("RACS_EVERY_BYTE") == "1"
A, B = "a", "ü"


def archive() -> StoreModel:
    """Return a store with a closed stream, and one that only the log tells all of."""
    model = StoreModel(Durability.INTERVAL, segment_bytes=400, log_bytes=600, open_files=100)
    for _ in range(2):
        model.append([(A, 150)])
    model.attach(A, "notes", 200)
    model.expire(A, 3600)
    model.close(A)
    model.checkpoint()
    for _ in range(3):
        model.append([(B, 50)])
    model.expire(B, 60)
    return model


@pytest.mark.parametrize(
    "kind", [".wav", ".crc", "stream.json", ".log", "catalog.sqlite", "attachments/"]
)
def test_a_flipped_bit_is_found_out_or_harmless(kind: str) -> None:
    model = archive()
    files = {name: size for name, size in model.disk.copy().sizes().items() if kind in name}
    assert files
    for name, size in files.items():
        stride = next((n for part, n in STRIDES.items() if part in name and not EVERY), 1)
        for offset in range(0, size, stride):
            disk = model.disk.copy()
            disk.flip(name, offset, offset % 8)
            try:
                check_rotten(disk, name, model.expected, model.serials(), partial(model.make, disk))
            except AssertionError as error:
                raise AssertionError(f"byte {offset} of {name}") from error
