"""The playbook in the admin: checked, compared, refused whole, written by a template's form."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from triage.models import PlaybookVersion
from triage.playbook import current, store

pytestmark = pytest.mark.django_db
EDIT = "admin:playbook_edit"


@pytest.fixture
def boss(client):
    store.load_first()
    user = User.objects.create_superuser("boss", password="x")
    client.force_login(user)
    return client


def posted(text: str, **more: str) -> dict[str, str]:
    return {"text": text, "seen": str(PlaybookVersion.objects.latest("pk").pk), **more}


def test_a_check_shows_the_difference_and_changes_nothing(boss):
    text = PlaybookVersion.objects.get().text.replace('"15m"', '"20m"', 1)
    page = boss.post(reverse(EDIT), posted(text, check="1")).content.decode()
    assert "It is sound." in page
    assert "20m" in page
    assert PlaybookVersion.objects.count() == 1


def test_a_mistake_is_refused_with_its_line(boss):
    text = PlaybookVersion.objects.get().text.replace('fix = "4h"', 'fix = "soon"')
    page = boss.post(reverse(EDIT), posted(text, load="1")).content.decode()
    assert "severities.P1.fix: &quot;soon&quot; is not a duration" in page
    assert PlaybookVersion.objects.count() == 1


def test_what_is_put_in_force_is_a_new_version_by_its_author(boss):
    text = PlaybookVersion.objects.get().text.replace('fix = "4h"', 'fix = "3h"')
    boss.post(reverse(EDIT), posted(text, load="1"))
    assert PlaybookVersion.objects.latest("pk").loaded_by.username == "boss"
    assert current().severities["P1"].fix.total_seconds() == 3 * 3600


def test_two_people_editing_do_not_overwrite_each_other(boss):
    first = PlaybookVersion.objects.get()
    store.load(first.text + "\n# meanwhile\n")
    page = boss.post(reverse(EDIT), {"text": first.text, "seen": str(first.pk), "load": "1"})
    assert "Somebody changed the playbook meanwhile" in page.content.decode()
    assert PlaybookVersion.objects.count() == 2


def test_a_template_is_written_into_the_text_and_its_comments_stay(boss):
    url = reverse("admin:playbook_template", args=["acknowledge"])
    seen = str(PlaybookVersion.objects.get().pk)
    boss.post(url, {"title": "Hello", "body": 'Hi {name}, "thanks" \\o/', "seen": seen})
    assert current().templates["acknowledge"].text == 'Hi {name}, "thanks" \\o/\n'
    assert "# --- Templates ---" in PlaybookVersion.objects.latest("pk").text


def test_an_unknown_variable_is_refused(boss):
    url = reverse("admin:playbook_template", args=["acknowledge"])
    seen = str(PlaybookVersion.objects.get().pk)
    page = boss.post(url, {"title": "Hello", "body": "Hi {nane}", "seen": seen})
    assert "{nane} is not a variable" in page.content.decode()


def test_staff_without_the_right_may_look_but_not_edit(client):
    store.load_first()
    client.force_login(User.objects.create_user("eng-1", is_staff=True))
    assert client.get(reverse(EDIT)).status_code == 403


def test_the_list_names_the_templates(boss):
    page = boss.get(reverse("admin:triage_playbookversion_changelist")).content.decode()
    assert "Acknowledge Issue" in page
    assert "Edit the text" in page
