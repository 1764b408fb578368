"""Store: the folder in which the state of a policy in production lives."""

from __future__ import annotations

from pathlib import Path

from hwds.bandit.live.events import LiveBehaviour, LiveState
from hwds.core.errors import ResumeError
from hwds.core.hashing import digest
from hwds.eventlog.log import EventLog
from hwds.eventlog.replayed import ReplayedState

FILE = "events.db"
OLD_FILES = ("journal.jsonl", "state.json")


def opened(folder: Path, behaviour: LiveBehaviour) -> ReplayedState[LiveState]:
    """Return the state that a folder holds, or a new one.

    Raises:
        ResumeError: The folder is damaged, in use, of an older version, or holds another policy.
    """
    terms, old = behaviour.terms, [name for name in OLD_FILES if (folder / name).is_file()]
    if old:
        raise ResumeError(f"{folder}: holds the {old[0]} of an older version of hwds; take another folder.")
    log = EventLog(folder / FILE, "power")
    try:
        saved = log.about("policy")
        if saved is None:
            log.set_about("policy", terms.label)
        else:
            terms.check(saved, folder)
    except BaseException:
        log.close()
        raise
    try:
        return replayed(log, behaviour)
    except ValueError as error:
        raise ResumeError(f"{folder}: its snapshot is of another version ({error}); take another folder.") from error


def replayed(log: EventLog, behaviour: LiveBehaviour) -> ReplayedState[LiveState]:
    """Return the state of a log, from its snapshot or from its entries."""
    terms = behaviour.terms
    made_by = {"code": terms.code} if terms.code else {}
    return ReplayedState(log, behaviour, digest(terms.label | made_by), drop=not terms.propensities)
