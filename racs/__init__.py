"""The RACS client."""
