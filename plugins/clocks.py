"""Clocks of hosts that differ so much from the control node's that the certificates which it signs are not valid."""

import time

HOUR, DAY = 3600, 86400
# A host's certificate begins a day before it is signed, and ends 396 days after that.
MAX_BEHIND, MAX_AHEAD = 23 * HOUR, 395 * DAY


def wrong_clock(where: str, clock: str) -> list[str]:
    """A sentence if a certificate that this control node signs now would not be valid on the host.

    Args:
        where: The host.
        clock: Its answer to the preflight: seconds since 1970.
    """
    ahead = int(clock) - time.time() if clock.isdecimal() else 0
    if -MAX_BEHIND <= ahead <= MAX_AHEAD:
        return []
    difference = f"{abs(ahead) / HOUR:.0f} hours {'ahead of' if ahead > 0 else 'behind'} this control node's"
    effect = f"so its certificate would not be valid there {'any more' if ahead > 0 else 'yet'}"
    advice = "correct the clock that is wrong ('timedatectl' shows it)"
    return [f"{where} has a clock that is {difference}, {effect}; {advice}."]
