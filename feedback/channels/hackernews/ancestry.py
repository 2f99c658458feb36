"""What the comments above a comment say, remembered for as long as one poll runs."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from feedback.channels.hackernews import items
from feedback.channels.hackernews.items import Root, whole
from feedback.channels.hackernews.services import Services
from feedback.text import one_line

GENERATIONS = 2  # comments above a comment that its context quotes
REMEMBERED = 5000
DEEPEST = 200  # a thread's root is looked for no further up


@dataclass(frozen=True, slots=True)
class Ancestor:
    """The little that is kept of an item: whom it answers, when it came, how it begins."""

    parent: int | None
    posted_at: int  # Unix seconds, 0 when it is not told
    excerpt: str


class Ancestry:
    """A bounded memory of items; what it does not know it asks for."""

    def __init__(self, services: Services, root: Root) -> None:
        self._services = services
        self._root = root
        self._known: OrderedDict[int, Ancestor] = OrderedDict()

    def learn(self, id_: int, item: Any) -> None:
        """Remember what the service said of an item."""
        if not isinstance(item, Mapping):
            item = {}
        says = items.text_of(item.get("text")) if items.is_live(item) else ""
        self._known[id_] = Ancestor(
            whole(item.get("parent")), whole(item.get("time")) or 0, one_line(says, items.EXCERPT)
        )
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def prepare(self, found: Iterable[Any]) -> None:
        """Ask, all at once, for the ancestors of these items that are not known."""
        above = {whole(item.get("parent")) for item in found if isinstance(item, Mapping)}
        for _ in range(GENERATIONS):
            level = {id_ for id_ in above if id_ is not None and id_ != self._root.id}
            missing = [id_ for id_ in level if id_ not in self._known]
            for id_, item in zip(missing, self._services.items(missing), strict=True):
                self.learn(id_, item)
            above = {self._known[id_].parent for id_ in level if id_ in self._known}

    def posted_at(self, id_: int) -> int:
        """When an item came, in Unix seconds; 0 when that is not known."""
        return self._known[id_].posted_at if id_ in self._known else 0

    def context(self, item: Mapping[str, Any]) -> str:
        """The story's title and how the comments above the item begin, oldest first."""
        texts: list[str] = []
        ancestor = self._above(whole(item.get("parent")))
        while ancestor and len(texts) < GENERATIONS:
            texts.insert(0, ancestor.excerpt)
            ancestor = self._above(ancestor.parent)
        return items.context_of(self._root.title, texts)

    def _above(self, id_: int | None) -> Ancestor | None:
        return None if id_ is None or id_ == self._root.id else self._known.get(id_)


def root_of(services: Services, item: Mapping[str, Any]) -> Root:
    """The story that an item hangs from; the highest item known where that cannot be had.

    Raises HTTPFailure.
    """
    for _ in range(DEEPEST):
        parent = whole(item.get("parent"))
        above = services.item(parent) if parent else None
        if not isinstance(above, Mapping):
            return Root(parent or whole(item.get("id")) or 0, items.title_of(item))
        item = above
    return Root(whole(item.get("id")) or 0, items.title_of(item))
