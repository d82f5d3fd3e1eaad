"""Data models: keys, findings, evidence, verdicts and results.

All are immutable and compare by value. Pydantic writes them as JSON and describes them as a JSON
Schema.
"""

from .access import Grant, KeyPolicy, account_of
from .base import SLIM, Model, Time, WrittenTime
from .declarations import Declaration, Declarations
from .description import PENDING_DELETION, KeyDescription
from .evidence import PIECES, Cost, Evidence
from .findings import CodeLocation, Finding, FindingStatus, ResultsSource, Unmapped, UnusableRecord
from .history import (
    ENDS_DISABLED,
    AliasMove,
    AliasMoves,
    KeyHistory,
    LastUse,
    LaterAlias,
    LaterAliases,
    StateChange,
    UseAttempt,
    UseAttempts,
)
from .keys import AccountRegion, KeyArn
from .outcomes import KeyResult, Outcome, Outcomes
from .readable import AnswerClass, NotFound, Unreadable, known
from .rebuild import Rebuild, RebuildDecision, RebuildReason, RebuildRow, UnreadAccountRegion
from .references import (
    LISTS_REGIONS,
    MANY_MESSAGES,
    Absences,
    AbsentService,
    CoverageGap,
    Reference,
    References,
    can_be_decided,
    is_of_closed_region,
)
from .verdicts import (
    NEXT_WAVE,
    UNKNOWN,
    AppliedException,
    FindingRecord,
    Hold,
    PlanItem,
    PlanSummary,
    VerdictKind,
)

__all__ = [
    "ENDS_DISABLED",
    "LISTS_REGIONS",
    "MANY_MESSAGES",
    "NEXT_WAVE",
    "PENDING_DELETION",
    "PIECES",
    "SLIM",
    "UNKNOWN",
    "Absences",
    "AbsentService",
    "AccountRegion",
    "AliasMove",
    "AliasMoves",
    "AnswerClass",
    "AppliedException",
    "CodeLocation",
    "Cost",
    "CoverageGap",
    "Declaration",
    "Declarations",
    "Evidence",
    "Finding",
    "FindingRecord",
    "FindingStatus",
    "Grant",
    "Hold",
    "KeyArn",
    "KeyDescription",
    "KeyHistory",
    "KeyPolicy",
    "KeyResult",
    "LastUse",
    "LaterAlias",
    "LaterAliases",
    "Model",
    "NotFound",
    "Outcome",
    "Outcomes",
    "PlanItem",
    "PlanSummary",
    "Rebuild",
    "RebuildDecision",
    "RebuildReason",
    "RebuildRow",
    "Reference",
    "References",
    "ResultsSource",
    "StateChange",
    "Time",
    "Unmapped",
    "UnreadAccountRegion",
    "Unreadable",
    "UnusableRecord",
    "UseAttempt",
    "UseAttempts",
    "VerdictKind",
    "WrittenTime",
    "account_of",
    "can_be_decided",
    "is_of_closed_region",
    "known",
]
