"""The front of the client that blocks: `Racs`. Safe for use by many threads at once."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self, overload

import numpy as np
from numpy.typing import NDArray

from racs.address import find_address
from racs.base import NO_DATA, Client, Missing
from racs.connection import Connection
from racs.extract import DEFAULT_BLOCK, Range, begin, checked_range
from racs.live import (
    Follower,
    LiveBlock,
    StreamEvent,
    Subscriber,
    follow_command,
    subscribe_command,
)
from racs.live import begin as begin_feed
from racs.output import Progress
from racs.pipeline import Pipeline
from racs.script import run
from racs.sources import PcmData, open_source
from racs.stream import (
    DEFAULT_CHUNK,
    SendSettings,
    StreamBuilder,
    checked_chunk,
    send_audio,
)
from racs.wire.events import Buffer

if TYPE_CHECKING:
    from ssl import SSLContext


class Racs(Client):
    """A client of one server.

    Connections are made when they are needed, and kept. A `Racs` may be shared by threads; each
    exchange has a connection to itself, and who finds none free waits in line.

    Parameters
    ----------
    host
        Name or address of the server; or a URL, ``racs://user:password@host:port``, and with TLS
        ``racss://…``, in which user and password are percent-encoded, and a token is a password
        without a user: ``racss://:token@host``.
    port
        Its TCP port, where a URL does not say.
    pool_size
        How many connections there may be at once, 1 or more. A live source (an iterator given to
        `stream`) has one of its own beside these.
    connect_timeout
        Seconds within which a connection has to be made.
    timeout
        Seconds for which the server may be silent when a reply is due; `None`, the default, is no
        limit, since a long encoding takes its time.
    vectors
        What audio and other vectors come back as: ``"numpy"`` arrays or ``"list"`` of numbers.
        Bytes (``u8v``, ``s8v``) are `bytes` in either case.
    tls
        Whether to speak TLS: True, to a server whom this machine trusts; the path of a PEM file of
        certificates, to one whom these vouch for; or an `ssl.SSLContext`.
    user, password
        What each connection shows the server, where it has users.
    token
        The same, in the place of both.

    Raises
    ------
    RacsTypeError, RacsValueError
        A parameter is wrong. The server is not asked before the first exchange, which raises
        `RacsAuthError` if it does not accept what it is shown.

    Examples
    --------
    >>> with Racs("localhost") as r:
    ...     r.pipeline().ping().execute()
    'PONG'
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 6381,
        pool_size: int = 3,
        *,
        connect_timeout: float = 5.0,
        timeout: float | None = None,
        vectors: Literal["numpy", "list"] = "numpy",
        tls: "bool | str | PathLike[str] | SSLContext" = False,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
    ) -> None:
        address = find_address(host, port, tls, user, password, token)
        super().__init__(address, pool_size, connect_timeout, timeout, vectors)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; those in use are closed when their exchange is over."""
        self._pool.close()

    def pipeline(self) -> Pipeline:
        """Return an empty pipeline of commands."""
        return Pipeline(self.execute_command)

    def execute_command(
        self,
        text: str,
        to: "str | PathLike[str] | BinaryIO | None" = None,
        progress: Progress | None = None,
    ) -> Any:
        """Send the text of a command, or of a pipeline, as it is and return its result.

        Parameters
        ----------
        text
            Such as ``"INFO 'chopin' 'size'"``. Strings from elsewhere belong into a `pipeline`,
            which quotes them.
        to
            A file that the result is written to; see `Pipeline.execute`.
        progress
            Is told, as the file comes, how many bytes of it are there, and of how many.

        Returns
        -------
        None, bool, int, float, str, bytes, list or numpy.ndarray
            Arrays are the caller's own, in the type of the reply: audio is int32, interleaved.

        Raises
        ------
        RacsServerError
            The server answered with an error.
        RacsConnectionError
            The server cannot be reached, or the connection broke: then the command may have been
            executed or not, and is not sent again.
        """
        return run(self._execute(text, to, progress))

    def execute_commands(self, texts: Iterable[str]) -> list[Any]:
        """Send many commands without waiting for the reply to each, and return their results.

        They are carried out one after the other, on one connection.

        Parameters
        ----------
        texts
            Each as for `execute_command`. None may be followed by more than one reply, as STREAM,
            ATTACH, FOLLOW and SUBSCRIBE are.

        Returns
        -------
        list
            The results in order; the `RacsServerError` itself in the place of each that the server
            answered with an error.

        Raises
        ------
        RacsValueError
            One is followed by more than one reply; nothing was sent.
        RacsConnectionError
            The server cannot be reached, or the connection broke.
        """
        return run(self._execute_all(texts))

    def attach(self, stream_id: str, name: str, data: Buffer) -> None:
        """Keep a file with a stream, in the place of one of the same name.

        Parameters
        ----------
        stream_id
            Which stream.
        name
            1 to 255 bytes of text.
        data
            At most 100 MiB.

        Raises
        ------
        RacsServerError
            There is no such stream, or the file cannot be kept.
        RacsConnectionError
            The server cannot be reached, or the connection broke.
        """
        run(self._attach(stream_id, name, data))

    def attachment(self, stream_id: str, name: str) -> bytes:
        """Return a file that is kept with a stream; `RacsServerError` if there is none."""
        contents: bytes = self.execute_command(self._attachment(stream_id, name))
        return contents

    def attachments(self, stream_id: str) -> list[str]:
        """Return the names of the files that are kept with a stream, sorted."""
        names: list[str] = self.execute_command(self._attachments(stream_id))
        return names

    def extract_blocks(
        self,
        stream_id: str,
        frm: datetime | int,
        to: datetime | int,
        *,
        block_frames: int = DEFAULT_BLOCK,
    ) -> Iterator[NDArray[np.int32]]:
        """Get the audio of a stretch of time block by block, in little memory however long it is.

        Parameters
        ----------
        stream_id
            Which stream.
        frm, to
            As for `Pipeline.extract`.
        block_frames
            Sample frames in a block, 1 or more; the last one, and where a range longer than a reply
            was cut (4 GiB), one may have fewer.

        Yields
        ------
        numpy.ndarray
            Shape (sample frames * channels,), int32, interleaved; the caller's own. One after the
            other they are what `Pipeline.extract` gives.

        Raises
        ------
        RacsValueError, RacsTypeError
            An argument is wrong; at once.
        RacsServerError
            There is no such stream, or it cannot be read; when the first block is asked for.
        RacsConnectionError
            The server cannot be reached, the connection broke, or the audio could not be read on.
            Ask again from where it broke off.

        An iterator that is given up has its connection closed, when it is closed or forgotten.
        """
        return self._blocks(checked_range(stream_id, frm, to, block_frames))

    def _blocks(self, range_: Range) -> Iterator[NDArray[np.int32]]:
        reader = run(begin(self._pool, range_))
        try:
            while (block := run(reader.next_block())) is not None:
                yield block
        except BaseException as error:
            self._pool.give_back(reader.connection, error)
            raise
        self._pool.give_back(reader.connection)

    def follow(
        self,
        stream_id: str,
        frm: datetime | int | float | None = None,
        *,
        until_closed: bool = False,
    ) -> Iterator[LiveBlock]:
        """Get a stream's audio as it comes, and first what it has from a time on.

        Parameters
        ----------
        stream_id
            Which stream.
        frm
            The time of the first sample frame: a datetime with a time zone, an int (ms since the
            epoch), or a float (seconds after the stream's first one). None: what comes from now on.
        until_closed
            Whether to end when the stream is closed; else the feed waits for its next session.

        Yields
        ------
        LiveBlock
            Its first sample frame, and its samples. Blocks join without overlap; and without a gap,
            as long as the caller is not ten seconds behind: then ``missed`` says what was left out.

        Raises
        ------
        RacsValueError, RacsTypeError
            An argument is wrong; at once.
        RacsServerError
            There is no such stream, it was deleted, or it is damaged.
        RacsConnectionError
            The server cannot be reached, or the connection broke.

        The feed begins when the first block is asked for. An iterator that is given up has its
        connection closed, when it is closed or forgotten.
        """
        text = follow_command(stream_id, frm)
        return self._feed(text, lambda connection: Follower(connection, until_closed=until_closed))

    def subscribe(self, pattern: str = "*", since: int | None = None) -> Iterator[StreamEvent]:
        """Get told what happens to streams, as it happens.

        Parameters
        ----------
        pattern
            Of the streams' ids, as for `Pipeline.list`.
        since
            The number of the last event that is known: what has happened since comes first.

        Yields
        ------
        StreamEvent
            In order; the first is ``ready``: what happens from then on will be told. One of the
            kind ``missed`` says that some are lost: the caller was too slow, or the server began
            anew.

        Raises
        ------
        RacsException
            As `follow`.
        """
        return self._feed(subscribe_command(pattern, since), Subscriber)

    def _feed(
        self, text: str, reader: Callable[[Connection], Follower | Subscriber]
    ) -> Iterator[Any]:
        feed = reader(run(begin_feed(self._pool, text)))
        try:
            while (item := run(feed.next())) is not None:
                yield item
        finally:
            self._pool.give_back(feed.connection, own=True)

    @overload
    def stream(self, stream_id: str, chunk_size: int = ...) -> StreamBuilder: ...

    @overload
    def stream(self, stream_id: str, chunk_size: int = ..., *, pcm_data: PcmData) -> int: ...

    @overload
    def stream(self, stream_id: str, chunk_size: int, pcm_data: PcmData) -> int: ...

    def stream(
        self,
        stream_id: str,
        chunk_size: int = DEFAULT_CHUNK,
        pcm_data: PcmData | Literal[Missing.DATA] = NO_DATA,
    ) -> StreamBuilder | int:
        """Send audio to a stream that is open; or, without data, return a builder.

        The builder, ``r.stream("id").chunk_size(...).execute(data)``, opens the stream first and
        closes it afterwards. Messages are sent without waiting for each to be acknowledged. Nothing
        is ever sent a second time.

        All calls with data are one session, so that audio may be sent bit by bit: an open stream
        takes no other client's audio until it is closed. The builder's sessions are its own.

        Parameters
        ----------
        stream_id
            Which stream.
        chunk_size
            Bytes of PCM in a block, 1 ... 65,535, rounded down to whole sample frames.
        pcm_data
            One of

            - a list or tuple of ints, interleaved;
            - a numpy array, 1-D interleaved or 2-D (sample frames, channels), of whole numbers or
              of floats in -1 ... 1;
            - bytes, bytearray or memoryview: packed little-endian PCM, 3 bytes a sample at 24 bit;
            - the path of an audio file (str or Path) of the stream's sample rate and channels;
            - an iterator of any of these, cut anywhere: a live source.

            Whole numbers are stream values, -32768 ... 32767 at 16 bit and -8388608 ... 8388607 at
            24; floats become rint(x * 2**(bit depth - 1)), saturated. Files keep their level: see
            `racs.sources`.

        Returns
        -------
        int
            Sample frames sent, all acknowledged. Or the builder.

        Raises
        ------
        RacsValueError, RacsTypeError
            The data do not fit the stream, are cut in the middle of a sample frame, or hold NaN.
            Data in memory are checked before anything is sent.
        RacsServerError
            The server refused: no such stream, not open, in use by another sender.
        RacsConnectionError
            The server cannot be reached, or the connection broke.

        All have ``acknowledged``: the sample frames acknowledged till then, `None` if sending had
        not begun.
        """
        settings = SendSettings(chunk=checked_chunk(chunk_size))
        target = self._target(stream_id, pcm_data, open_source)
        if pcm_data is NO_DATA:
            return StreamBuilder(target, settings)
        return run(send_audio(target, pcm_data, settings))
