"""What happens to an item when somebody speaks: the author, or we.

These functions change an `Item` and its clocks in memory; the caller holds the transaction and
saves both. They are shared by the pipeline, the composer and the deliverer.
"""

from datetime import datetime

from feedback.models import Item, Kind, Message
from feedback.vocabulary import Category, Closed, State
from triage import clocks
from triage.classifier import Reading
from triage.models import Clock, ClockKind
from triage.playbook import Playbook
from triage.routing import route

READING_CLOCKS = (ClockKind.ACKNOWLEDGE, ClockKind.RESPOND, ClockKind.FIX)


def read_first(
    item: Item, board: list[Clock], reading: Reading, playbook: Playbook, at: datetime
) -> None:
    """Take over what the classifier made of the item, give it its responder and its clocks.

    What a person has corrected stays as it is; so does a responder that a person chose.
    """
    item.also, item.language = list(reading.also), reading.language
    item.confidence, item.trusted = reading.confidence, reading.trusted
    if not item.corrected:
        item.category, item.sentiment = reading.category, reading.sentiment
        item.severity, item.topic = reading.severity or "", reading.topic
        item.p0_probability = reading.p0_probability
    give_out(item, board, playbook, at)


def read_follow_up(
    item: Item,
    board: list[Clock],
    reading: Reading,
    playbook: Playbook,
    at: datetime,
    *,
    is_answered: bool,
) -> None:
    """Let a later word of the author raise an item, never quietly lower it.

    A short word after the fact reads as anything, so an item that is no bug becomes one only by
    what the follow-up itself says happened.
    """
    if item.corrected:
        return
    item.sentiment = reading.sentiment
    if reading.category != Category.BUG or not reading.severity or not reading.trusted:
        return
    if item.category == Category.BUG:
        is_worse = not item.severity or _graveness(reading) < _graveness(item)
    else:
        is_worse = bool(reading.evidence)
    if is_worse:
        item.category, item.severity = Category.BUG, reading.severity
        item.p0_probability = reading.p0_probability
        give_out(item, board, playbook, at, is_answered=is_answered)


def _graveness(said: Item | Reading) -> tuple[str, bool]:
    """What sorts by how bad it is, the worst first: a sure P0 before one by precaution."""
    return said.severity or "", said.p0_probability is not None


def give_out(
    item: Item,
    board: list[Clock],
    playbook: Playbook,
    at: datetime,
    *,
    is_acknowledged: bool = False,
    is_answered: bool = False,
) -> None:
    """Route an item by its present reading and put its clocks in line with it.

    Clocks that the reading no longer promises stop; what it promises anew starts at `at`, the
    response clock always when the item came in. `is_acknowledged`: a person has just decided;
    `is_answered`: our first reply is out, so that no first response is owed.
    """
    decision = route(item.category, item.severity or None, item.topic, playbook)
    if item.taken_by_id is None:
        item.responder = decision.responder
    promised = clocks.promises(item.severity, decision.respond, playbook)
    wanted = {(promise.kind, promise.target) for promise in promised}
    for clock in clocks.running(board):
        if clock.kind in READING_CLOCKS and (clock.kind, clock.target) not in wanted:
            clocks.stop([clock], at)
    for promise in promised:
        if promise.kind == ClockKind.ACKNOWLEDGE and is_acknowledged:
            continue
        if promise.kind == ClockKind.RESPOND and (is_answered or _was_met(board, promise.kind)):
            continue
        begin = item.taken_in_at if promise.kind == ClockKind.RESPOND else at
        clocks.start(board, item, promise, playbook, begin)


def _was_met(board: list[Clock], kind: str) -> bool:
    return any(clock.kind == kind and clock.met_at for clock in board)


def author_wrote(
    item: Item, board: list[Clock], playbook: Playbook, at: datetime, *, is_answered: bool
) -> None:
    """The author wrote again: a closed item opens, and after our reply they wait for the next."""
    if item.state == State.SPAM:
        return
    if item.state in (State.CLOSED, State.WAITING, State.SNOOZED):
        item.state, item.closed_as, item.closed_at = State.OPEN, "", None
    decision = route(item.category, item.severity or None, item.topic, playbook)
    if is_answered and decision.respond:
        promise = clocks.Promise(ClockKind.NEXT_RESPONSE, decision.respond)
        clocks.start(board, item, promise, playbook, at)


def we_answered(item: Item, board: list[Clock], at: datetime) -> None:
    """Our reply is out: it meets what waited for it, and the item waits for the author.

    An update promised later than `at` stays owed: the promise may be this very reply's.
    """
    clocks.meet(board, clocks.REPLY_MEETS, at)
    promised = [clock for clock in board if clock.started_at < at]
    clocks.meet(promised, [ClockKind.PROMISED_UPDATE], at)
    if item.state in (State.NEW, State.OPEN, State.SNOOZED):
        item.state = State.WAITING


def set_aside(item: Item, board: list[Clock], at: datetime) -> None:
    """It is not about us: nothing is promised any more."""
    clocks.stop(board, at)
    item.state, item.closed_as, item.closed_at = State.CLOSED, Closed.NO_FEEDBACK, at


def last_reply(item: Item) -> Message | None:
    """Our newest reply in the conversation, sent or not."""
    return item.messages.filter(kind=Kind.REPLY).order_by("-pk").first()
