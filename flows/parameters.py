"""What a person may type into the form of a run: Prefect refuses the rest before a run begins.

The docstring of a flow says what each of its parameters is for. Prefect makes a pydantic model of
the signature, the form from its JSON schema, and checks a value against that.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from tasks.report import DAYS, MOST_DAYS

_LENGTH: Final = r"(\d+(\.\d+)?(us|ms|[wdhms]))+"
_MOMENT: Final = r"\d{4}-\d{2}-\d{2}([T ]\S+)?"
_ONE_LINE: Final = r"^[^\n]*\S[^\n]*$"

Length = Annotated[str, Field(pattern=f"^{_LENGTH}$", examples=["60d", "12h"])]
LengthOrNone = Annotated[str, Field(pattern=f"^({_LENGTH})?$", examples=["12h", "7d"])]
Since = Annotated[str, Field(pattern=f"^({_LENGTH}|{_MOMENT})$", examples=["90d", "2026-11-01"])]
Until = Annotated[str, Field(pattern=f"^({_MOMENT})?$", examples=["2026-11-08"])] | None
Step = Annotated[str, Field(pattern="^(1h|60m|3600s)$")]
Days = Annotated[int, Field(ge=1, le=MOST_DAYS, examples=[DAYS])]
# No other file of the machine is written over by a slip of the hand.
Page = Annotated[str, Field(pattern=r"^(.*\.html)?$", examples=["report.html"])] | None
Number = Annotated[int, Field(ge=1)]
Factor = Annotated[float, Field(gt=1, le=1_000_000)]
Minutes = Annotated[float, Field(gt=0, le=24 * 60)]
Line = Annotated[str, Field(pattern=_ONE_LINE)]
