"""The tests. Importing them makes every warning an error, however they are run."""

import warnings

from hypothesis import HealthCheck, settings

warnings.filterwarnings("error")
# Raised inside Twisted and pyOpenSSL by their own use of each other.
warnings.filterwarnings("ignore", category=DeprecationWarning, module="OpenSSL|twisted")

# A slow machine must not fail a test.
settings.register_profile("superchat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("superchat")
