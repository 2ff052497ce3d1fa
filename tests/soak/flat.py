"""Is a curve flat? Its robust slope (Theil and Sen: the median of the slopes of all pairs of points)
and what it grew by over the time measured."""

import statistics

POINTS_MAX = 240  # medians of equal spans of time, so that a spike moves nothing
SECONDS_MIN = 480  # below, the start's own growth is all there is to see


def spans(times, values, count=POINTS_MAX, pick=statistics.median):
    """(time, median or what else is picked) of `count` equal spans of time; empty ones are left
    out."""
    if not times:
        return []
    first, width = times[0], max((times[-1] - times[0]) / count, 1e-9)
    held = {}
    for moment, value in zip(times, values):
        held.setdefault(min(int((moment - first) / width), count - 1), []).append(value)
    return [(first + (index + 0.5) * width, pick(group))
            for index, group in sorted(held.items())]


def slope(points):
    """Units per second."""
    found = [(y2 - y1) / (x2 - x1) for place, (x1, y1) in enumerate(points)
             for x2, y2 in points[place + 1:]]
    return statistics.median(found) if found else 0.0


class Verdict:
    """On one curve after its warm-up. `growth_max` is in the curve's unit, over the time measured;
    falling is flat. With `resting` the least of each so many seconds counts instead of medians: what
    comes and goes is no growth."""

    def __init__(self, name, unit, samples, growth_max, resting=None):
        times, values = [time for time, _ in samples], [value for _, value in samples]
        self.name, self.unit = name, unit
        self.seconds = times[-1] - times[0] if times else 0.0
        self.median = statistics.median(values) if values else 0.0
        self.least, self.most = (min(values), max(values)) if values else (0.0, 0.0)
        points = (spans(times, values, max(int(self.seconds / resting), 1), min) if resting
                  else spans(times, values))
        self.per_hour = 3600 * slope(points)
        self.growth = self.per_hour * self.seconds / 3600
        self.is_judged = self.seconds >= SECONDS_MIN
        self.growth_max, self.is_flat = 0.0, False
        self.bound(growth_max)

    def bound(self, growth_max):
        self.growth_max, self.is_flat = growth_max, self.growth <= growth_max

    def __str__(self):
        word = ("flat" if self.is_flat else "NOT FLAT") if self.is_judged else "too short to judge"
        return (f"{self.name}: {word}: median {self.median:.2f}, {self.least:.2f} to "
                f"{self.most:.2f} {self.unit}; slope {self.per_hour:+.3f} {self.unit}/h, "
                f"{self.growth:+.3f} over {self.seconds / 60:.0f} min (bound {self.growth_max:+.3f})")
