"""What holds for every test: a property is true or not; how long an example takes tells of the machine's other work."""

import os

from hypothesis import HealthCheck, settings
from support.step_times import StepTimes

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure(config):
    if "STEPS" in os.environ and not hasattr(config, "workerinput"):
        config.pluginmanager.register(StepTimes(os.environ["STEPS"]))
