"""Medians of runs on a machine that changes its speed: a pair of runs counts where the machine was the same for both."""
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
    """One peer's turn: tokens a second, and what a probe of the machine found right before and right behind it."""
    rate: float
    before: float
    after: float


def drift(*runs):
    """How far apart the probes around these runs are: the largest beside the smallest, less one."""
    probes = [p for run in runs for p in (run.before, run.after)]
    return max(probes) / min(probes) - 1 if min(probes) > 0 else float("inf")


def steady(runs, allowed):
    """Runs whose own two probes agree, and how many do not."""
    kept = [run for run in runs if drift(run) <= allowed]
    return kept, len(runs) - len(kept)


def paired(mine, theirs, allowed):
    """Ratios mine/theirs of the same rounds, where all four probes agree, and how many pairs were discarded. A run
    that failed is None and belongs to no pair."""
    pairs = [(a, b) for a, b in zip(mine, theirs) if a and b]
    kept = [a.rate / b.rate for a, b in pairs if drift(a, b) <= allowed]
    return kept, len(pairs) - len(kept)


def rotated(items, turn):
    """Another one begins in each round, and every second round goes backwards: no peer always follows the same one."""
    if not items:
        return []
    at = turn // 2 % len(items)
    order = items[at:] + items[:at]
    return order if turn % 2 == 0 else order[::-1]
