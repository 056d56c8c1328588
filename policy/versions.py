"""Which limits may be published to a Mimir, by the version that it says it is.

Of a version that is unknown or cannot be read, only what every version knows is taken: Mimir
refuses the whole runtime file for one name that it does not know.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce

from policy.catalogue import CORTEX, MIMIR_RELEASES, Catalogue, known_in
from policy.errors import ConfigError


def known_to(version: str | None, *, catalogue: Catalogue | None = None) -> frozenset[str]:
    """Names of limits that the version knows; of an unknown version, what all versions know.

    Args:
        version: what Mimir says that it is; None where it does not say.
        catalogue: of which limits; None for the built-in ones.
    """
    if version is not None and version.lstrip("v").startswith("1."):
        return known_in(CORTEX, catalogue=catalogue)
    try:
        return _everywhere(catalogue) if version is None else known_in(version, catalogue=catalogue)
    except ConfigError:
        return _everywhere(catalogue)


def known_to_all(
    versions: Collection[str | None], *, catalogue: Catalogue | None = None
) -> frozenset[str]:
    """Names of limits that every one of these versions knows; none told counts as one unknown.

    Args:
        versions: what the processes of Mimir say that they are.
        catalogue: of which limits; None for the built-in ones.
    """
    return reduce(
        frozenset.intersection,
        (known_to(version, catalogue=catalogue) for version in versions or (None,)),
    )


def _everywhere(catalogue: Catalogue | None) -> frozenset[str]:
    labels = (*(label for _, label in MIMIR_RELEASES), CORTEX)
    return reduce(
        frozenset.intersection, (known_in(label, catalogue=catalogue) for label in labels)
    )
