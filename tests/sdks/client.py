"""Evaluates flags with the Flagsmith Python SDK, in local evaluation, as the plan on standard input says.

The plan: {"api_url", "analytics_url", "key", "steps": [[{flag: evaluations}, "keep" | "timer" | "flush"]]}.
After the evaluations of a step comes a flush: none, the one that the SDK's own timer brings, or one at once.
"""

import json
import random
import sys
import time

from flagsmith import Flagsmith
from flagsmith.analytics import ANALYTICS_TIMER


def main():
    plan = json.load(sys.stdin)
    client = Flagsmith(
        environment_key=plan["key"],
        api_url=plan["api_url"],
        enable_local_evaluation=True,
        enable_analytics=True,
        analytics_url=plan["analytics_url"],
    )
    analytics = client._analytics_processor
    for evaluations, then in plan["steps"]:
        names = [name for name, count in evaluations.items() for _ in range(count)]
        random.Random(len(names)).shuffle(names)
        last = names.pop() if then == "timer" else None
        for place, name in enumerate(names):
            flags = (
                client.get_environment_flags() if place % 2 else client.get_identity_flags(f"user-{place}")
            )
            assert flags.get_feature_value(name) == f"value of {name}", name
        if then == "timer":
            # The SDK flushes at the first evaluation that comes more than ten whole seconds after its last flush.
            time.sleep(ANALYTICS_TIMER + 1.1)
            client.get_environment_flags().is_feature_enabled(last)
            assert not analytics.analytics_data, "the SDK's timer did not flush"
        elif then == "flush":
            analytics.flush()
    assert not analytics.analytics_data, "the plan ends without a flush"
    # The interpreter waits for the posts that are under way before it ends.


main()
