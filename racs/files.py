"""Audio files, read from the start to the end."""

import soundfile


class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read block by block, each block going on where the last one ended.

    `soundfile.SoundFile.read` seeks to where it is after each read of a seekable file. In an MP3
    the decoder then loses what it carries from one MPEG frame to the next (the bit reservoir, ISO
    11172-3), and the start of every block comes out wrong (measured, libsndfile 1.2.2: errors of
    0.6 of full scale). A file that does not call itself seekable is just read on.
    """

    def seekable(self) -> bool:
        """Return False: reading goes on where it is."""
        return False
