"""How fast the demo's clock may run: as fast as this machine, under the load it is under, can follow.

People of the demo have 48 business hours for an approval. On a clock that is too fast for its machine that is over before the worker
has heard of the first decision, and the demo would show expiries instead of a business at work.
"""

import subprocess
import sys
import time

FASTEST = 14_400.0
"""Four business hours a second: a week of follow-ups in under a minute."""
SLOWEST = 3_600.0
_AT_EASE = 3.0  # seconds that loading the gateway takes where FASTEST was found to leave room; 2.5 on two cores of 2026


def pace() -> float:
    """Measured on a process of ours, which is what the stack is made of. Takes the seconds that it measures."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import spine.gateway.app"], check=True)
    return min(FASTEST, max(SLOWEST, round(FASTEST * _AT_EASE / (time.monotonic() - began))))
