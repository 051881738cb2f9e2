"""The RACS server: an audio stream store behind a TCP port."""
