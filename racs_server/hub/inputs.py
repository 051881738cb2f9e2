"""What a rune is given for a run: values as they are, audio archived and converted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from racs_server.errors import RequestError
from racs_server.hub.archive import Archive
from racs_server.hub.book import Book
from racs_server.hub.contract import FILE_PATH, Contract
from racs_server.hub.contract import Upload as UploadValue
from racs_server.hub.files import Files
from racs_server.hub.rows import Run, Rune, Upload


class Inputs:
    """Prepares them.

    Parameters
    ----------
    archive, files, book
        The hub's.
    tls
        Whether the hub is reached over TLS.
    """

    def __init__(self, archive: Archive, files: Files, book: Book, *, tls: bool) -> None:
        self._archive = archive
        self._files = files
        self._book = book
        self._tls = tls

    def __repr__(self) -> str:
        return f"<Inputs to {self._archive!r}>"

    def prepare(
        self, run: Run, rune: Rune, contract: Contract, values: Mapping[str, Any]
    ) -> tuple[Run, dict[str, Any]]:
        """Archive the inputs of a run; blocks.

        Parameters
        ----------
        run, rune, contract
            What is asked of whom.
        values
            Of all parameters, checked.

        Returns
        -------
        The run with its inputs, and the parameters that the rune gets.

        Raises
        ------
        RacsError
            An input cannot be used.
        """
        inputs, params = [], {}
        for number, param in enumerate(contract.params, 1):
            value = values[param.name]
            if param.type == FILE_PATH and value is not None:
                where = (run, number, param.name)
                if isinstance(value, UploadValue):
                    upload = self._book.get(Upload, value.upload)
                    if upload is None:
                        raise RequestError(f"{param.name}: there is no upload {value.upload!r:.80}")
                    file, value = self._archive.take_upload(*where, upload, rune.target)
                else:
                    file, value = self._archive.take_excerpt(*where, value, rune.target)
                inputs.append(file)
                value = self._handed_over(run, rune, value)
            params[param.name] = {"value": value, "type": param.type}
        return msgspec.structs.replace(run, inputs=tuple(inputs)), params

    def _handed_over(self, run: Run, rune: Rune, path: str) -> str:
        """Return what a rune is given for the path of an input.

        An address has to begin like that for the client to fetch it; the rest is a user and a
        password before the hub's own host.
        """
        if rune.target.handover == "path" or (rune.target.handover == "auto" and rune.near):
            return path
        if not self._tls:
            raise RequestError(
                "the rune is on another machine, where this one's files are not: give the server a"
                " certificate (--tls-cert, --tls-key), so that it can fetch them"
            )
        secret = f"{run.id}.{self._files.sign(f'input {run.id}')}"
        return f"https://storage.googleapis.com:{secret}@{rune.host}/files/{Path(path).name}"
