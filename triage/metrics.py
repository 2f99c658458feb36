"""What a monitoring system reads: the state of the service in Prometheus' text format.

All of it comes out of the database when it is asked for; nothing is counted in a process.
"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from feedback.credentials import credential
from feedback.health import lag
from feedback.models import Item, RejectedPost, Source
from triage.models import Clock, OutboxEntry

TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Gauge:
    """One metric: its name, what it means, and a value for each set of labels."""

    name: str
    help: str
    values: tuple[tuple[Mapping[str, str], float], ...]


def metrics(request: HttpRequest) -> HttpResponse:
    """For whoever has METRICS_TOKEN as a bearer token, and for staff who are logged in."""
    if not _may(request):
        return HttpResponse("Send METRICS_TOKEN as a bearer token.\n", status=403)
    text = "".join(line for gauge in collect() for line in written(gauge))
    return HttpResponse(text, content_type=TYPE)


def collect() -> Iterator[Gauge]:
    """Every metric as it stands now; the number of queries does not grow with what is stored."""
    yield from _of_sources(list(Source.objects.order_by("name")))
    rejected = RejectedPost.objects.filter(resolved_at=None).values_list("source__name")
    yield _counts("rejected_posts", "Posts kept raw that could not be read.", "source", rejected)
    states = Item.objects.order_by().values_list("state")
    yield _counts("items", "Items by state.", "state", states)
    sent = OutboxEntry.objects.order_by().values_list("state")
    yield _counts("outbox_entries", "What leaves, by where it stands.", "state", sent)
    unread = Item.objects.filter(triage_due_at__isnull=False).count()
    yield _one("items_unread", "Items that wait to be read by the classifier.", unread)
    late = Clock.objects.running().filter(due_at__lt=timezone.now()).count()
    yield _one("clocks_overdue", "Promises that are late and not yet kept.", late)


def written(gauge: Gauge) -> Iterator[str]:
    """The lines of a metric."""
    name = f"feedback_{gauge.name}"
    yield f"# HELP {name} {gauge.help}\n# TYPE {name} gauge\n"
    for labels, value in gauge.values:
        inner = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        yield f"{name}{{{inner}}} {value:g}\n" if inner else f"{name} {value:g}\n"


def _of_sources(sources: list[Source]) -> Iterator[Gauge]:
    now = timezone.now()

    def gauge(name: str, help_: str, value: Mapping[int, float | None]) -> Gauge:
        rows = [(_labels(one), value[one.pk]) for one in sources]
        known = tuple((labels, float(found)) for labels, found in rows if found is not None)
        return Gauge(f"source_{name}", help_, known)

    def each(of: object) -> dict[int, float | None]:
        return {one.pk: of(one) for one in sources}  # type: ignore[operator]

    yield gauge("up", "1 while a source is read, 0 when it has stopped or fails.", each(_up))
    yield gauge("failures", "Polls in a row that failed.", each(lambda one: one.failures))
    late = each(lambda one: span.total_seconds() if (span := lag(one, now)) else 0.0)
    yield gauge("lag_seconds", "By how much the next poll is late.", late)
    for name, help_ in (("last_polled_at", "last"), ("next_poll_at", "next")):
        times = each(lambda one, name=name: at.timestamp() if (at := getattr(one, name)) else None)
        yield gauge(f"{help_}_poll_timestamp_seconds", f"When its {help_} poll is or was.", times)
    quota = tuple(
        (_labels(one) | {"name": str(name)}, float(value))
        for one in sources
        for name, value in one.meter.items()
        if isinstance(value, int | float)
    )
    yield Gauge("source_quota", "What its service told of limits and costs.", quota)


def _up(source: Source) -> float | None:
    if not source.enabled:
        return None
    return 0.0 if source.is_stopped or source.failures else 1.0


def _labels(source: Source) -> dict[str, str]:
    return {"source": source.name, "channel": source.channel}


def _counts(name: str, help_: str, label: str, rows: object) -> Gauge:
    counted = rows.annotate(count=Count("pk")).order_by()  # type: ignore[attr-defined]
    return Gauge(name, help_, tuple(({label: str(key)}, float(n)) for key, n in counted))


def _one(name: str, help_: str, value: float) -> Gauge:
    return Gauge(name, help_, (({}, float(value)),))


def _may(request: HttpRequest) -> bool:
    if request.user.is_authenticated and request.user.is_staff:
        return request.user.has_perm("feedback.view_source")
    token = credential("METRICS_TOKEN")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return bool(token) and hmac.compare_digest(token.encode(), given.encode("utf-8", "replace"))
