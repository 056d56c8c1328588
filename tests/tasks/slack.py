"""Channels of Slack that speak to a receiver on this machine."""

from __future__ import annotations

from datetime import timedelta

from pydantic import SecretStr

from policy.settings.channels import Slack
from tasks.channels.slack import SlackBot, SlackWebhook, slack_channel
from tests.tasks.receiver import Receiver

PATIENCE = timedelta(seconds=5)
TOKEN = "xoxb-1234-very-secret"


def bot(url: str, *, timeout: timedelta = PATIENCE) -> SlackWebhook | SlackBot:
    settings = Slack(enabled=True, bot_token=SecretStr(TOKEN), api_url=url)
    return slack_channel(settings.model_copy(update={"timeout": timeout}))


def webhook(url: str, *, timeout: timedelta = PATIENCE) -> SlackWebhook | SlackBot:
    settings = Slack(enabled=True, webhook_url=SecretStr(f"{url}/services/T0/B0/verysecretkey"))
    return slack_channel(settings.model_copy(update={"timeout": timeout}))


def says_json(receiver: Receiver, body: bytes, *, status: int = 200, **headers: str) -> None:
    receiver.says(status, body, Content_Type="application/json", **headers)
