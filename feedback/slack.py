"""Slack's incoming webhook: one text, sent once. Nothing tells afterwards whether it arrived."""

from feedback.channels.base import Later, Refused, Sent, Unsure
from feedback.credentials import credential
from feedback.http import HTTPFailure, client, fetch, retry_after

LONGEST = 3000  # characters of one text
SETTING = "SLACK_WEBHOOK_URL"


def is_set() -> bool:
    """Whether there is a webhook to send to."""
    return bool(credential(SETTING))


def escaped(text: str) -> str:
    """What somebody wrote as Slack shows it: no links, mentions or marks of their making."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def send(text: str) -> Sent | Later | Refused | Unsure:
    """Send a text; what others wrote in it must be `escaped`."""
    if not is_set():
        return Refused(f"Slack is not connected. Set {SETTING}.")
    body = {"text": text[:LONGEST], "unfurl_links": False}
    try:
        with client(1) as http:
            answer = fetch(http, "POST", credential(SETTING), json=body)
    except HTTPFailure as error:
        if "does not answer" in str(error):
            return Later("Slack does not answer.")
        return Unsure("Slack's answer was lost.")  # the address is a secret
    if answer.status == 200:
        return Sent("")
    if answer.status == 429:
        return Later("Slack's limit is reached.", retry_after(answer.headers))
    if answer.status >= 500:
        return Unsure(f"Slack answers with status {answer.status}.")
    said = answer.body[:100].decode("utf-8", "replace").strip()
    return Refused(f"Slack refuses it: {said or answer.status}. Check {SETTING}.")
