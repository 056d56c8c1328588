"""What tests of every room share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Tool = Callable[[str, str], str]


@pytest.fixture(scope="session")
def debian_tool() -> Tool:
    """The path of a program, by its name and its package.

    Without it the test is skipped, but not in CI, which installs the package.
    """

    def found(program: str, package: str) -> str:
        path = shutil.which(program)
        if path is None:
            missing = f"{program} is not installed (Debian: apt-get install {package})"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        return path

    return found
