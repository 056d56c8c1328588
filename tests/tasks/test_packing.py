"""Pages stay packed until they are read, and are unpacked with care."""

from __future__ import annotations

import gzip

import pytest
import zstandard

from tasks.exposition import UnreadablePage
from tasks.packing import Packed, text_size, unpacked

TEXT = b'cortex_ingester_active_series{user="a"} 5\n' * 100


@pytest.mark.parametrize(
    "answer",
    [
        Packed(body=TEXT, encoding=""),
        Packed(body=TEXT, encoding="identity"),
        Packed(body=gzip.compress(TEXT), encoding="gzip"),
        Packed(body=gzip.compress(TEXT[:42]) + gzip.compress(TEXT[42:]), encoding="gzip"),
        Packed(body=zstandard.compress(TEXT), encoding="zstd"),
    ],
    ids=["none", "identity", "gzip", "gzip in two parts", "zstd"],
)
def test_what_was_packed_is_unpacked(answer: Packed) -> None:
    assert unpacked(answer) == TEXT


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Packed(body=TEXT, encoding="gzip"), "no gzip"),
        (Packed(body=gzip.compress(TEXT)[:-9], encoding="gzip"), "cut short"),
        (Packed(body=TEXT, encoding="zstd"), "no zstd"),
        (Packed(body=TEXT, encoding="br"), "packed as br"),
    ],
    ids=["not gzip", "half a gzip", "not zstd", "not asked for"],
)
def test_what_cannot_be_unpacked_is_refused(answer: Packed, says: str) -> None:
    with pytest.raises(UnreadablePage, match=says):
        unpacked(answer)


@pytest.mark.parametrize(
    "answer",
    [
        Packed(body=gzip.compress(TEXT), encoding="gzip"),
        Packed(body=zstandard.compress(TEXT), encoding="zstd"),
    ],
    ids=["gzip", "zstd"],
)
def test_a_small_answer_cannot_fill_the_memory(
    answer: Packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.packing.MOST_TEXT_BYTES", len(TEXT))

    with pytest.raises(UnreadablePage, match="MiB or more"):
        unpacked(answer)


def test_the_size_of_the_text_is_known_before_it_is_unpacked() -> None:
    assert text_size(Packed(body=gzip.compress(TEXT), encoding="gzip")) == len(TEXT)
    assert text_size(Packed(body=TEXT, encoding="")) == len(TEXT)
