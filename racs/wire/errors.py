"""What can be wrong with bytes from the other side."""


class WireError(ValueError):
    """A message that does not follow the protocol; the messages after it can still be read."""


class FramingLost(WireError):
    """A length that cannot be believed: nothing that follows on this connection can be read."""
