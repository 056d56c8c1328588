from __future__ import annotations

import subprocess
import sys


def test_prefect_is_not_imported_before_its_environment_is_set() -> None:
    """
    Prefect reads its settings once, at import; `mlo up` sets them first.
    """
    program = "import sys, deployments.up; sys.exit('prefect' in sys.modules)"

    finished = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)

    assert finished.returncode == 0
