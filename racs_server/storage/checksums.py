r"""CRC-32C of every 64 KiB of a segment's PCM, and the ``.crc`` file beside it.

All integers little-endian::

    0   8  RACSCRC1
    8   8  bytes of PCM covered
    16  .. one CRC-32C (4 bytes) for each 64 KiB begun; the last may cover less
    end 4  CRC-32C of all before

Worked example: four bytes of PCM ``01 00 ff ff`` are
``RACSCRC1  04 00 00 00 00 00 00 00  <crc32c of 01 00 ff ff>  <crc32c of these 20 bytes>``.
"""

from array import array

from crc32c import crc32c

from racs_server.storage.fs import Buffer

BLOCK = 1 << 16
"""Bytes of PCM that one checksum covers."""

MAGIC = b"RACSCRC1"
_NO_PCM = b"this could not be read\n"


class Checksums:
    """The checksums of a growing run of PCM.

    Attributes
    ----------
    covered
        Bytes of PCM taken in.
    """

    __slots__ = ("_blocks", "_tail", "covered")

    def __init__(self) -> None:
        self.covered = 0
        self._blocks = array("I")
        self._tail = 0

    def __repr__(self) -> str:
        return f"<Checksums of {self.covered} bytes>"

    def extend(self, pcm: Buffer) -> None:
        """Take in the bytes that follow those covered."""
        room = BLOCK - self.covered % BLOCK
        size = len(pcm)
        self.covered += size
        if size < room:
            self._tail = crc32c(pcm, self._tail)
            return
        view = memoryview(pcm)
        self._blocks.append(crc32c(view[:room], self._tail))
        for start in range(room, size - BLOCK + 1, BLOCK):
            self._blocks.append(crc32c(view[start : start + BLOCK]))
        rest = (size - room) % BLOCK
        self._tail = crc32c(view[size - rest :]) if rest else 0

    def skip(self, size: int) -> None:
        """Take in bytes that nobody could read: the blocks that they are of match no PCM."""
        self.extend((_NO_PCM * (size // len(_NO_PCM) + 1))[:size])

    def cut(self, covered: int) -> None:
        """Go back to the end of the last whole block within the first `covered` bytes."""
        del self._blocks[covered // BLOCK :]
        self._tail = 0
        self.covered = len(self._blocks) * BLOCK

    def snapshot(self, first: int, stop: int) -> list[int]:
        """Return the checksums of blocks `first` up to `stop`, the unfinished last one included."""
        values = self._blocks[first:stop].tolist()
        if stop > len(self._blocks):
            values.append(self._tail)
        return values

    def entries(self) -> list[int]:
        """Return the checksums of all blocks."""
        return self.snapshot(0, -(-self.covered // BLOCK))

    def dump(self) -> bytes:
        """Return the contents of the ``.crc`` file."""
        blocks = array("I", self._blocks)
        if self.covered % BLOCK:
            blocks.append(self._tail)
        body = MAGIC + self.covered.to_bytes(8, "little") + blocks.tobytes()
        return body + crc32c(body).to_bytes(4, "little")

    @classmethod
    def load(cls, contents: bytes) -> "Checksums":
        """Read the contents of a ``.crc`` file.

        Raises
        ------
        ValueError
            They are not what `dump` makes; the text says how.
        """
        body, check = contents[:-4], contents[-4:]
        if body[:8] != MAGIC or crc32c(body).to_bytes(4, "little") != check:
            raise ValueError("the checksum file is damaged itself")
        if len(body) < 16 or len(body) % 4:
            raise ValueError("the checksum file is cut off")
        return cls.salvage(contents)

    @classmethod
    def salvage(cls, contents: bytes) -> "Checksums":
        """Read a damaged ``.crc`` file, to read by it.

        PCM that matches its entry is right, whatever else is wrong with the file: nothing but the
        blocks of damaged entries is lost to readers. Nothing may be added to it.

        Raises
        ------
        ValueError
            There are not as many entries as it says.
        """
        body = contents[:-4]
        loaded = cls()
        loaded.covered = int.from_bytes(body[8:16], "little")
        loaded._blocks.frombytes(body[16 : len(body) - len(body) % 4])
        if len(loaded._blocks) != -(-loaded.covered // BLOCK):
            raise ValueError("the checksum file has not as many checksums as it says")
        if loaded.covered % BLOCK:
            loaded._tail = loaded._blocks.pop()
        return loaded
