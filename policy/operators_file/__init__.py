"""The operator's own runtime file, edited in place; see `policy.operators_file.editing`."""

from policy.operators_file.claims import Claims
from policy.operators_file.editing import claimed, edited

__all__ = ["Claims", "claimed", "edited"]
