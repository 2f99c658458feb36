"""Every page works under the strict Content-Security-Policy, in an empty console."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Service, fits


def test_staff_log_in_and_out(staff: Callable[..., Page], service: Service) -> None:
    page = staff()
    page.get_by_text(service.user, exact=True).last.click()
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{service.url}feedback/item/")
    expect(page.get_by_label("Password")).to_be_visible()


def test_every_page_of_the_sidebar_opens_in_silence(
    staff: Callable[..., Page], service: Service
) -> None:
    page = staff()
    links = page.locator("#nav-sidebar a[href^='/']")
    addresses = sorted({link.get_attribute("href") or "" for link in links.all()})
    assert addresses
    for address in addresses:
        answer = page.goto(service.url.rstrip("/") + address, wait_until="networkidle")
        assert answer is not None
        assert answer.status == 200, address
        assert "unsafe" not in (answer.headers.get("content-security-policy") or "unsafe")


@pytest.mark.parametrize(
    "address",
    [
        "auth/user/add/",
        "auth/user/1/change/",
        "password_change/",
        "feedback/source/1/change/",
        "triage/playbookversion/1/change/",
        "triage/playbookversion/edit/",
        "triage/playbookversion/template/acknowledge/",
    ],
)
def test_a_page_below_opens_in_silence_and_fits_a_phone(
    staff: Callable[..., Page], service: Service, address: str
) -> None:
    page = staff(width=390, height=844)
    answer = page.goto(service.url + address, wait_until="networkidle")
    assert answer is not None
    assert answer.status == 200
    assert fits(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_page_fits_a_phone(staff: Callable[..., Page], scheme: str) -> None:
    page = staff(width=390, height=844, scheme=scheme)
    assert fits(page)
