"""Tell when our clock and those that we ask do not agree.

Rates are taken over our own clock, and nothing is stored by another's. But limits that expire,
hours of the day, uptimes and what is asked of a Prometheus go by both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

from policy.figures import figure

# A Date is told to the second, and an answer may be under way for some.
SKEWED_SECONDS: Final = 30.0
MEND: Final = "let NTP set the clocks of both machines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """Clocks that differ from ours.

    Attributes:
        ours: it is our own clock: most others differ from it alike.
        ahead: how many seconds those that differ are ahead of us; negative where they are behind.
    """

    ours: bool
    ahead: Mapping[str, float]

    @property
    def words(self) -> str:
        """Which clock is wrong and by how much."""
        many, middle = len(self.ahead), median(self.ahead.values())
        far = f"{figure(abs(round(middle)))} s"
        if self.ours:
            direction = "behind" if middle > 0 else "ahead of"
            others = (
                f"that of {next(iter(self.ahead))}" if many == 1 else f"those of {many} processes"
            )
            return f"our clock is {far} {direction} {others}"
        clocks, verb = ("clock", "is") if many == 1 else ("clocks", "are")
        names = f"the {clocks} of {', '.join(sorted(self.ahead))}"
        if len(self.directions) > 1:
            most = figure(round(max(map(abs, self.ahead.values()))))
            return f"{names} differ from ours by up to {most} s"
        return f"{names} {verb} {far} {'ahead of' if middle > 0 else 'behind'} ours"

    @property
    def directions(self) -> dict[bool, frozenset[str]]:
        """Who is ahead (True) and who is behind."""
        found = {seconds > 0 for seconds in self.ahead.values()}
        return {
            way: frozenset(name for name, seconds in self.ahead.items() if (seconds > 0) is way)
            for way in found
        }

    def same_as(self, other: Skew | None) -> bool:
        """Whether it is no news after the other: the same clocks, and in the same direction."""
        return other is not None and self.ours == other.ours and self.directions == other.directions


def skew(ahead: Mapping[str, float]) -> Skew | None:
    """The clocks that differ from ours by more than half a minute; None when none is known to.

    Args:
        ahead: seconds that the clock of each process is ahead of ours.
    """
    wrong = {name: seconds for name, seconds in ahead.items() if abs(seconds) > SKEWED_SECONDS}
    if not wrong:
        return None
    return Skew(ours=abs(median(ahead.values())) > SKEWED_SECONDS, ahead=wrong)
