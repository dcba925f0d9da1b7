"""Medians of runs on a machine whose speed varies: a pair of runs counts only if the speed was the same for both."""
import statistics
from dataclasses import dataclass


def median(values):
    return statistics.median(values) if values else None


def spread(values):
    """Half the distance between the quartiles; 0 for one value."""
    if len(values) < 2:
        return 0.0
    q = statistics.quantiles(values, n=4, method="inclusive")
    return (q[2] - q[0]) / 2


@dataclass
class Run:
    """One peer's turn: tokens per second, and the results of a probe directly before and after it."""
    rate: float
    before: float
    after: float


def drift(*runs):
    """The spread of the probes around these runs: the largest divided by the smallest, minus one."""
    probes = [p for run in runs for p in (run.before, run.after)]
    return max(probes) / min(probes) - 1 if min(probes) > 0 else float("inf")


def steady(runs, allowed):
    """The runs whose two probes agree, and the number of others."""
    kept = [run for run in runs if drift(run) <= allowed]
    return kept, len(runs) - len(kept)


def paired(pairs, allowed):
    """Ratios mine/theirs of the pairs (my run, their run) whose probes all agree, and the number of discarded pairs."""
    kept = [mine.rate / theirs.rate for mine, theirs in pairs if drift(mine, theirs) <= allowed]
    return kept, len(pairs) - len(kept)


def rotated(items, turn):
    """The order of a round. Each round begins with another peer, and every second one is reversed, so that no peer always
    follows the same one."""
    if not items:
        return []
    at = turn // 2 % len(items)
    order = items[at:] + items[:at]
    return order if turn % 2 == 0 else order[::-1]
