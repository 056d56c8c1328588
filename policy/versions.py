"""Which limits may be published to a Mimir, by the version that it says it is.

Of a version that is unknown or cannot be read, only what every version knows is taken: Mimir
refuses the whole runtime file for one name that it does not know.
"""

from __future__ import annotations

from functools import reduce

from policy.catalogue import CORTEX, MIMIR_RELEASES, known_in
from policy.errors import ConfigError


def known_to(version: str | None) -> frozenset[str]:
    """Names of limits that the version knows; of an unknown version, what all versions know."""
    everywhere = [known_in(label) for label in (*(label for _, label in MIMIR_RELEASES), CORTEX)]
    if version is None:
        return reduce(frozenset.intersection, everywhere)
    if version.lstrip("v").startswith("1."):
        return known_in(CORTEX)
    try:
        return known_in(version)
    except ConfigError:
        return reduce(frozenset.intersection, everywhere)
