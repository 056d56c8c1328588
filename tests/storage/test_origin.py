from __future__ import annotations

from datetime import datetime

import pytest

from storage.database import Database
from storage.errors import StorageError
from storage.origin import claim


def test_a_history_stays_with_the_kind_of_tenants_it_began_with(
    database: Database, now: datetime
) -> None:
    claim(database, simulated=True, at=now)
    claim(database, simulated=True, at=now)

    with pytest.raises(StorageError, match="history of simulated tenants"):
        claim(database, simulated=False, at=now)


def test_a_real_history_takes_no_simulated_tenants(database: Database, now: datetime) -> None:
    claim(database, simulated=False, at=now)

    with pytest.raises(StorageError, match="history of real tenants"):
        claim(database, simulated=True, at=now)
