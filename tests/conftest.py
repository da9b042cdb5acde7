"""What holds for every test: a property is true or not; how long an example takes tells of the machine's other work."""

from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
