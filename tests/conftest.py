"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How long an example takes says something of the machine, and of what else it is doing.
settings.register_profile(
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
