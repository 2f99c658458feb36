"""Who may see and do what: strangers nothing, readers nothing that changes anything."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from feedback.models import Item
from tests.make import make_item
from triage.admin.item import ACTS
from triage.playbook import store

pytestmark = pytest.mark.django_db

SECRET = "Nobody outside may read this."


@pytest.fixture
def item() -> Item:
    store.load_first()
    return make_item(text=SECRET)


def person(name: str, *permissions: str, staff: bool = True) -> Client:
    user = User.objects.create_user(name, password="a long password", is_staff=staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def pages(item: Item) -> list[str]:
    queue = reverse("admin:feedback_item_changelist")
    return [
        "/",
        queue,
        f"{queue}?rows=1",
        reverse("admin:feedback_item_change", args=[item.pk]),
        reverse("admin:feedback_source_changelist"),
        reverse("admin:feedback_rejectedpost_changelist"),
        reverse("admin:triage_outboxentry_changelist"),
        reverse("admin:triage_playbookversion_changelist"),
    ]


def act(item: Item, name: str) -> str:
    return reverse("admin:feedback_item_act", args=[item.pk, name])


def test_a_stranger_sees_the_login_page_alone(item: Item, client: Client) -> None:
    for address in pages(item):
        answer = client.get(address)
        assert answer.status_code == 302, address
        assert "login" in answer["Location"]


def test_a_user_who_is_not_staff_sees_nothing(item: Item) -> None:
    client = person("eve", "view_item", "change_item", staff=False)
    for address in pages(item):
        answer = client.get(address, follow=True)
        assert SECRET not in answer.content.decode()
        assert answer.redirect_chain, address
    client.post(act(item, "take"))
    item.refresh_from_db()
    assert item.taken_by is None


def test_staff_without_rights_sees_nothing(item: Item) -> None:
    client = person("ned")
    for address in pages(item)[1:]:
        assert client.get(address).status_code == 403, address


def test_a_reader_sees_items_and_changes_none(item: Item) -> None:
    client = person("rita", "view_item")
    page = client.get(reverse("admin:feedback_item_change", args=[item.pk])).content.decode()
    assert SECRET in page
    assert "/act/" not in page
    for name in ACTS:
        values = {"text": "hello", "as": "answered", "category": "praise", "token": "t"}
        assert client.post(act(item, name), values).status_code == 403, name
    fresh = Item.objects.get(pk=item.pk)
    assert (fresh.state, fresh.category) == (item.state, item.category)
    assert fresh.messages.count() == 1


def test_a_change_needs_a_token_of_the_form(item: Item, admin_user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(act(item, "take")).status_code == 403


def test_a_change_is_never_made_by_a_link(item: Item, admin_client: Client) -> None:
    for name in ACTS:
        assert admin_client.get(act(item, name)).status_code == 405


def test_nobody_deletes_or_adds_an_item(item: Item, admin_client: Client) -> None:
    delete = reverse("admin:feedback_item_delete", args=[item.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert admin_client.get(reverse("admin:feedback_item_add")).status_code == 403
    assert Item.objects.filter(pk=item.pk).exists()


@pytest.mark.parametrize("name", ["sample/remove", "sample", "watch"])
def test_a_reader_starts_and_removes_no_source(item: Item, name: str) -> None:
    client = person("rita", "view_item")
    assert client.post(f"/start/{name}", {"word": "corp"}).status_code in (403, 404)


def test_who_logs_in_without_having_asked_for_a_page_comes_to_the_first_one(
    client, django_user_model
):
    django_user_model.objects.create_user("ann", password="long-enough-1", is_staff=True)
    answer = client.post("/login/", {"username": "ann", "password": "long-enough-1"})
    assert answer["location"] == "/"
