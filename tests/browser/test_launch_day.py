"""One person's launch day: the sample plays, an item is answered, its clock stops."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Service, fits

COMES_IN = 60_000  # ms until a worker has read the first posts, its model included


@pytest.fixture
def queue(staff: Callable[..., Page]) -> Page:
    """The queue, filling with the sample launch."""
    page = staff()
    play = page.get_by_role("button", name="Play the sample")
    if play.is_visible():
        play.click()
    expect(page.locator("[data-item]").nth(5)).to_be_visible(timeout=COMES_IN)
    return page


def open_first(page: Page, **filters: str) -> None:
    """Open the most urgent item of these traits that nobody has answered yet."""
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    page.goto(page.url.partition("?")[0] + f"?{query}")
    rows = page.locator("tr:has([data-due]) .t-row-link")
    expect(rows.first).to_be_visible(timeout=COMES_IN)
    for address in [row.get_attribute("href") or "" for row in rows.all()]:
        page.goto(page.url.partition("/feedback/")[0] + address)
        if page.locator("[data-clock=respond] [data-due]").count():
            return
    pytest.fail(f"No item waits for an answer: {query}")


def test_an_answer_by_template_stops_the_clock(queue: Page) -> None:
    open_first(queue, channel="github")
    respond = queue.locator("[data-clock=respond]")
    expect(respond.locator("[data-due]")).to_have_text(re.compile(r"^\d+[dhms]"))
    queue.locator("[data-template=acknowledge]").click()
    reply = queue.get_by_label("Reply text")
    expect(reply).to_have_value(re.compile(r"^Hey (?!\{)\S+"))
    reply.fill(reply.input_value() + "\nMore at https://status.example.com soon.")
    queue.get_by_role("button", name="Preview").click()
    expect(queue.locator(".t-preview")).to_contain_text("More at https://status.example.com")
    queue.get_by_role("button", name="Send").click()
    expect(queue.locator(".t-message.t-is-reply").last).to_contain_text("More at")

    def is_met() -> bool:
        queue.reload()
        return "met" in respond.inner_text()

    wait_for(queue, is_met)
    expect(queue.locator(".t-delivery").last).to_contain_text("Sent")
    expect(queue.locator(".t-history")).to_contain_text("Wrote a reply")


def test_hacker_news_is_answered_by_hand(queue: Page) -> None:
    copy = queue.get_by_role("button", name=re.compile("^Copy text"))

    def is_ready() -> bool:  # the sample's own team may answer at this very moment
        open_first(queue, channel="hackernews")
        queue.get_by_label("Reply text").fill("Thanks, we are on it.")
        queue.get_by_role("button", name="Ready to post").click()
        return copy.is_visible()

    wait_for(queue, is_ready)
    copy.click()
    expect(queue.get_by_role("button", name="Copied")).to_be_visible()
    assert queue.evaluate("navigator.clipboard.readText()") == "Thanks, we are on it."
    expect(queue.locator("[data-clock=respond] [data-due]")).to_have_count(1)
    queue.get_by_role("button", name="Mark as posted by hand").click()
    expect(queue.locator("[data-clock=respond]")).to_contain_text("met")
    expect(queue.locator(".t-delivery").last).to_contain_text("Posted by hand")


def test_the_queue_fills_before_ones_eyes(queue: Page) -> None:
    count = queue.locator(".t-tab-all .t-count")
    before = int(count.inner_text().rstrip("+"))
    wait_for(queue, lambda: int(count.inner_text().rstrip("+")) > before)


def test_what_is_new_waits_while_a_row_is_in_hand(queue: Page) -> None:
    queue.mouse.move(0, 0)
    queue.keyboard.press("j")
    first = queue.locator(".t-row-link").first
    expect(first).to_be_focused()
    news = queue.locator("[data-show-news]")
    expect(news).to_be_visible(timeout=COMES_IN)
    expect(first).to_be_focused()
    news.click()
    expect(news).to_be_hidden()


def test_keys_lead_from_item_to_item(queue: Page) -> None:
    queue.mouse.move(0, 0)
    queue.keyboard.press("j")
    queue.keyboard.press("Enter")
    expect(queue.locator("#composer")).to_be_visible()
    first = queue.url
    queue.keyboard.press("j")
    expect(queue).not_to_have_url(first)
    expect(queue.locator("#composer")).to_be_visible()
    queue.keyboard.press("r")
    expect(queue.get_by_label("Reply text")).to_be_focused()
    queue.keyboard.press("Escape")
    queue.keyboard.press("?")
    expect(queue.get_by_role("heading", name="Keys")).to_be_visible()
    queue.keyboard.press("Escape")
    queue.keyboard.press("u")
    expect(queue.locator("#queue")).to_be_visible()


def test_one_key_corrects_a_reading_that_says_why(queue: Page) -> None:
    open_first(queue, category="bug")
    expect(queue.locator(".t-why")).to_contain_text(re.compile("(reads|taken) as bug"))
    expect(queue.locator(".t-why")).to_contain_text("carried by")
    queue.keyboard.press("4")
    expect(queue.get_by_label("Category", exact=True)).to_have_value("setup")
    queue.keyboard.press("s")
    queue.keyboard.press("1")
    expect(queue.get_by_label("Sentiment", exact=True)).to_have_value("negative")
    expect(queue.locator(".t-side")).to_contain_text("seen by a person")
    expect(queue.locator(".t-history")).to_contain_text("Corrected the reading")


def test_a_person_moves_an_item_along(queue: Page) -> None:
    open_first(queue, category="bug")
    queue.get_by_role("button", name="Take it").click()
    expect(queue.locator(".t-side")).to_contain_text("admin has it")
    queue.get_by_label("Category", exact=True).select_option("question")
    queue.get_by_role("button", name="Correct category").click()
    expect(queue.locator(".t-side")).to_contain_text("seen by a person")
    queue.get_by_text("Add a note for staff").click()
    queue.get_by_label("Note", exact=True).fill("Ask devops.")
    queue.get_by_role("button", name="Keep the note").click()
    expect(queue.locator(".t-is-note")).to_contain_text("Ask devops.")
    queue.locator(".t-menu summary").click()
    queue.get_by_role("button", name="No feedback").click()
    expect(queue.locator(".t-facts")).to_contain_text("no feedback")
    queue.get_by_role("button", name="Reopen").click()
    expect(queue.locator(".t-facts")).to_contain_text("Open")
    for said in ("Took it", "Corrected", "Left a note", "Closed", "Opened again"):
        expect(queue.locator(".t-history")).to_contain_text(said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_queue_and_item_without_scrolling_sideways(
    queue: Page, staff: Callable[..., Page], scheme: str
) -> None:
    phone = staff(width=390, height=844, scheme=scheme)
    expect(phone.locator("[data-item]").first).to_be_visible()
    assert fits(phone)
    phone.locator(".t-row-link").first.click()
    expect(phone.locator("#composer")).to_be_visible()
    assert fits(phone)


def test_one_click_removes_the_sample(queue: Page, service: Service) -> None:
    queue.get_by_role("button", name="Remove the sample").click()
    expect(queue.get_by_role("button", name="Play the sample")).to_be_visible(timeout=COMES_IN)
    queue.goto(f"{service.url}feedback/item/")
    expect(queue.locator("[data-item]")).to_have_count(0)


def wait_for(page: Page, holds: Callable[[], bool]) -> None:
    """Until `holds`, asked every half second for COMES_IN."""
    for _ in range(COMES_IN // 500):
        if holds():
            return
        page.wait_for_timeout(500)
    pytest.fail("It never came.")
