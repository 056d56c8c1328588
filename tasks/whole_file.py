"""Replace a file whole or not at all, readable by us alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from policy.errors import ConfigError


def refuse_other_kinds(path: Path, *, kinds: Collection[str]) -> None:
    """Refuse an ending that names no kind.

    Raises:
        ConfigError: it does not.
    """
    if path.suffix.lower() not in kinds:
        raise ConfigError(
            f"{path}: the ending names the kind of file; let it be {', '.join(kinds)}"
        )


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Put what `write` writes in the place of the file.

    Raises:
        ConfigError: the file cannot be written.
    """
    temporary: Path | None = None
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or type(error).__name__}"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
