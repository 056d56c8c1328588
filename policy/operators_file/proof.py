"""The proof that an edit changes what it means to change, and nothing else.

The edited text is read again, merge keys and aliases resolved, and compared with what must come
of it. Whatever the edits do not understand ends here, with nothing written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from policy.document import OVERRIDES, DocumentError
from policy.operators_file.layout import Limits, RuntimeFile, explicit, foreign, read, resolved
from policy.operators_file.splices import Splice, spliced

_WAY_OUT: Final = (
    "nothing is written; write the entry in plain lines `limit: value`, or name the tenant in "
    "tenantScoping.skipList"
)


def proven(
    file: RuntimeFile,
    splices: Sequence[Splice],
    *,
    expected: Mapping[str, Limits],
    restored: Mapping[str, Mapping[str, str]],
) -> RuntimeFile:
    """The edited file, read again.

    Args:
        file: before the edit.
        splices: the edit.
        expected: what must apply to each tenant afterwards.
        restored: by tenant and limit the text that must stand there, which `expected` cannot tell.

    Raises:
        DocumentError: it is not what it must be; names the line and the way out.
    """
    try:
        edited = read(spliced(file.text, splices))
        found = resolved(edited)
    except DocumentError as error:
        raise DocumentError(
            f"the edit would break the file; as edited, {error}; {_WAY_OUT}"
        ) from error
    if foreign(edited) != foreign(file):
        line = file.line_of(OVERRIDES)
        raise DocumentError(
            f"line {line}: the edit would change more than {OVERRIDES!r}; {_WAY_OUT}"
        )

    wanted = {tenant: dict(limits) for tenant, limits in expected.items()}
    for tenant, texts in restored.items():
        held = explicit(edited.tenants[tenant].value) if tenant in edited.tenants else {}
        for limit, text in texts.items():
            value = held[limit].value if limit in held else None
            if value is not None and edited.text[value.start : value.end] == text:
                wanted.setdefault(tenant, {})[limit] = value.meaning
    for tenant in sorted(found.keys() | wanted.keys()):
        if found.get(tenant) != wanted.get(tenant):
            raise DocumentError(
                f"line {file.line_of(tenant)}: the edit would change other limits than ours, at "
                f"tenant {tenant!r}; {_WAY_OUT}"
            )
    return edited
