"""How hard the property tests try: a fixed profile for every run, a longer one for slow tests; and what they count."""

from __future__ import annotations

import collections

from hypothesis import HealthCheck, Phase, settings

UNCHECKED = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.large_base_example,
]
FIXED = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=12,
    stateful_step_count=25,
    suppress_health_check=UNCHECKED,
    phases=[Phase.explicit, Phase.generate],  # a failure is made small by the slow tests
)
LONG = settings(FIXED, max_examples=300, stateful_step_count=60, phases=list(Phase))
COUNTS: collections.Counter[str] = collections.Counter()  # what was tried, by kind, for the summary of a run
