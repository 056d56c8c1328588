"""The console script `mlo`."""

from __future__ import annotations

import os


def main() -> None:
    """Run `mlo`."""
    # The frames of a run are small and many; handing each to a pool of threads costs a fifth of
    # its CPU. Polars reads this once, while it is imported. Whoever has large ones may set it.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    from deployments.cli import run  # noqa: PLC0415 - it imports polars

    run()


if __name__ == "__main__":
    main()
