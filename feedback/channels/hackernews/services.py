"""The two services that tell what is on Hacker News: Firebase is the truth, Algolia searches."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from django.conf import settings

from feedback.http import HTTPFailure, NotJSON, TooSlow, Unreachable, client, fetch_json

CONNECTIONS = 8
ITEM_BYTES = 5_000_000  # a story with 100,000 direct comments is 1 MB
PAGE_BYTES = 20_000_000
ITEM_DEADLINE = timedelta(seconds=8)
PAGE_DEADLINE = timedelta(seconds=20)
GIVE_UP = 2  # searches in a row without any answer, after which a poll asks no more


class Services:
    """Both services over one bounded set of connections; base addresses are settings."""

    def __init__(self) -> None:
        self._firebase = settings.HACKERNEWS_FIREBASE_URL.rstrip("/")
        self._algolia = settings.HACKERNEWS_ALGOLIA_URL.rstrip("/")
        self._http = client(CONNECTIONS)
        self._searches_lost = 0
        self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="hackernews")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._http.close()

    def item(self, id_: int) -> Any:
        """What `/v0/item/<id>.json` says, None for an unknown id. Raises HTTPFailure."""
        return fetch_json(
            self._http,
            f"{self._firebase}/v0/item/{id_}.json",
            cap_bytes=ITEM_BYTES,
            deadline=ITEM_DEADLINE,
        )

    def items(self, ids: Iterable[int]) -> list[Any]:
        """The items in the order asked for; one that cannot be had is its HTTPFailure."""
        return list(self._pool.map(self._item_or_failure, ids))

    def front_pages(self) -> list[int]:
        """The ids of the top stories, the first one first. Raises HTTPFailure."""
        told = fetch_json(
            self._http,
            f"{self._firebase}/v0/topstories.json",
            cap_bytes=ITEM_BYTES,
            deadline=ITEM_DEADLINE,
        )
        if not isinstance(told, list):
            raise NotJSON("Hacker News does not tell its top stories.")
        return [id_ for id_ in told if isinstance(id_, int)]

    def search(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """A page of `/api/v1/search_by_date`, newest first. Raises HTTPFailure."""
        if self._searches_lost >= GIVE_UP:
            raise Unreachable("Algolia's search does not answer.")
        try:
            page = fetch_json(
                self._http,
                f"{self._algolia}/api/v1/search_by_date",
                params=dict(params),
                cap_bytes=PAGE_BYTES,
                deadline=PAGE_DEADLINE,
            )
        except (Unreachable, TooSlow):
            self._searches_lost += 1
            raise
        self._searches_lost = 0
        if not isinstance(page, dict) or not isinstance(page.get("hits"), list):
            raise NotJSON("Algolia's answer to a search has no list of hits.")
        return page

    def _item_or_failure(self, id_: int) -> Any:
        try:
            return self.item(id_)
        except HTTPFailure as failure:
            return failure
