"""Nothing here asserts a time: a property is no less true on a busy machine."""

from hypothesis import HealthCheck, settings

settings.register_profile("promptcot", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("promptcot")
