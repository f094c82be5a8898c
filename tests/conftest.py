"""What every test shares: only how hard Hypothesis tries.

`dev` is quick and different each time; `ci` tries harder and is the same each time, so that a red run is the
fault of the change it ran on. HYPOTHESIS_PROFILE names another choice.
"""

import os

from hypothesis import HealthCheck, settings

from tests.peers import missing_is_failure

# No deadline per example: on a loaded machine it would measure the neighbours. pytest's timeout still holds.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, max_examples=300)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if missing_is_failure() else "dev"))
