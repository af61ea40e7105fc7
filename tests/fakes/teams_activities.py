"""Activities as Teams delivers them, in its three scopes, after Microsoft's documentation."""

from __future__ import annotations

import itertools
from typing import Any, Literal

Json = dict[str, Any]
Scope = Literal["personal", "groupChat", "channel"]

APP, BOT, BOT_NAME = "00000000-0000-0000-0000-000000000a99", "28:parley", "Parley"
TENANT, TEAM = "00000000-0000-0000-0000-0000000007e9", "19:team@thread.tacv2"
ADA, ADA_ENTRA = "29:1ada", "00000000-0000-0000-0000-000000000ada"
BOB, BOB_ENTRA = "29:1bob", "00000000-0000-0000-0000-000000000b0b"
PERSONAL, GROUP, CHANNEL = "a:1ada-and-parley", "19:group@thread.v2", "19:general@thread.tacv2"
ROOT = "1700000000001"
CONVERSATIONS: dict[Scope, str] = {"personal": PERSONAL, "groupChat": GROUP, "channel": CHANNEL}
SCOPES: tuple[Scope, ...] = ("personal", "groupChat", "channel")

_PEOPLE = {ADA: ("Ada Lovelace", ADA_ENTRA), BOB: ("Bob", BOB_ENTRA)}
_numbers = itertools.count(1_700_000_100_000)


def next_id() -> str:
    return str(next(_numbers))


def sender(user: str) -> Json:
    name, entra = _PEOPLE.get(user, (user, f"entra-{user}"))
    return {"id": user, "name": name, "aadObjectId": entra}


def conversation(scope: Scope, root: str = ROOT, conversation_id: str = "") -> Json:
    found: Json = {"conversationType": scope, "tenantId": TENANT}
    base = conversation_id or CONVERSATIONS[scope]
    if scope == "channel":
        return {**found, "id": f"{base};messageid={root}", "isGroup": True}
    return {**found, "id": base, **({"isGroup": True} if scope == "groupChat" else {})}


def activity(
    kind: str,
    scope: Scope = "personal",
    *,
    service_url: str = "https://smba.trafficmanager.net/emea/",
    user: str = ADA,
    id: str = "",  # noqa: A002 - Teams' word
    root: str = ROOT,
    conversation_id: str = "",
    **more: Any,
) -> Json:
    data: Json = {"tenant": {"id": TENANT}}
    if scope == "channel":
        data |= {"team": {"id": TEAM}, "channel": {"id": CHANNEL}, "teamsChannelId": CHANNEL}
    return {
        "type": kind,
        "id": id or next_id(),
        "timestamp": "2026-01-05T09:00:00.1234567Z",
        "localTimestamp": "2026-01-05T10:00:00.1234567+01:00",
        "serviceUrl": service_url,
        "channelId": "msteams",
        "from": sender(user),
        "conversation": conversation(scope, root, conversation_id),
        "recipient": {"id": BOT, "name": BOT_NAME},
        "locale": "en-GB",
        "channelData": data | more.pop("channelData", {}),
        **more,
    }


def mention(user_id: str = BOT, name: str = BOT_NAME) -> Json:
    return {
        "type": "mention",
        "mentioned": {"id": user_id, "name": name},
        "text": f"<at>{name}</at>",
    }


def message(text: str, scope: Scope = "personal", **more: Any) -> Json:
    """As somebody typed it; outside of personal chats after a mention of the bot."""
    info = {"type": "clientInfo", "locale": "en-GB", "platform": "Web"}
    html = html_of(f"<p>{text}</p>")
    is_personal = scope == "personal"
    given: Json = {
        "text": text if is_personal else f"<at>{BOT_NAME}</at> {text}",
        "textFormat": "plain",
        "attachments": [html],
        "entities": [info] if is_personal else [mention(), info],
    }
    return activity("message", scope, **(given | more))


def attached(url: str, name: str) -> Json:
    """A file that somebody sent, as a personal chat tells of it."""
    kind = name.rpartition(".")[2]
    content = {"downloadUrl": url, "uniqueId": "1150D938", "fileType": kind, "etag": "123"}
    return {
        "contentType": "application/vnd.microsoft.teams.file.download.info",
        "contentUrl": f"https://contoso.sharepoint.com/personal/ada/Documents/{name}",
        "name": name,
        "content": content,
    }


def html_of(content: str) -> Json:
    return {"contentType": "text/html", "content": content}


def reply_quote(text: str, author: str = "Bob", message_id: str = "1700000000007") -> str:
    """The HTML of a message that is replied to, as Teams' clients write it."""
    return (
        f'<blockquote itemscope itemtype="http://schema.skype.com/Reply" itemid="{message_id}">\n'
        f'<strong itemprop="mri" itemid="8:orgid:{BOB_ENTRA}">{author}</strong>'
        f'<span itemprop="time" itemid="{message_id}"></span>\n'
        f'<p itemprop="preview">{text}</p>\n</blockquote>\n'
    )


def quoted_reply(preview: str, message_id: str = "1700000000007", **more: Any) -> Json:
    """The entity of a message that is replied to; its placeholder is in the text."""
    told = {"messageId": message_id, "senderId": BOB, "senderName": "Bob", "preview": preview}
    return {"type": "quotedReply", "quotedReply": told | more}


def placeholder(message_id: str = "1700000000007") -> str:
    return f'<quoted messageId="{message_id}"/>'


def forward_quote(*paragraphs: str) -> str:
    """Teams names neither the author nor the time of what is forwarded."""
    inner = "\n".join(f"<p>{each}</p>" for each in paragraphs)
    return f'<blockquote itemtype="http://schema.skype.com/Forward">\n{inner}\n</blockquote>\n'


def emoji(shown: str, name: str = "smile") -> str:
    """An emoji that was picked: Teams' plain copy of the message lacks it."""
    return (
        f'<span class="animated-emoticon-20-{name}" title="{name}" type="({name})">'
        f'<img itemscope itemtype="http://schema.skype.com/Emoji" itemid="{name}" alt="{shown}" '
        f'src="https://statics.teams.cdn.office.net/{name}/20_f.png" style="width:20px"></span>'
    )


def mention_span(name: str = BOT_NAME, index: int = 0) -> str:
    return (
        f'<span itemtype="http://schema.skype.com/Mention" itemscope itemid="{index}">{name}</span>'
    )


def edit(of: Json, text: str, **more: Any) -> Json:
    html = html_of(f"<p>{text}</p>")
    given = {"text": text, "timestamp": "2026-01-05T09:05:00.1Z", "attachments": [html], **more}
    data = {**of["channelData"], "eventType": "editMessage"}
    return {**of, "type": "messageUpdate", **given, "channelData": data}


def deletion(of: Json) -> Json:
    rest = {key: value for key, value in of.items() if key not in ("text", "entities")}
    data = {**of["channelData"], "eventType": "softDeleteMessage"}
    return {**rest, "type": "messageDelete", "channelData": data}


def reaction(to: str, *names: str, scope: Scope = "personal", **more: Any) -> Json:
    added = [{"type": name} for name in names]
    return activity("messageReaction", scope, replyToId=to, reactionsAdded=added, **more)


def installation(scope: Scope = "personal", action: str = "add", **more: Any) -> Json:
    return activity("installationUpdate", scope, action=action, **more)


def members_added(scope: Scope, *ids: str, **more: Any) -> Json:
    return activity(
        "conversationUpdate", scope, membersAdded=[{"id": each} for each in ids], **more
    )


def invoke(name: str, value: Json, scope: Scope = "personal", **more: Any) -> Json:
    return activity("invoke", scope, name=name, value=value, **more)


def feedback(to: str, reaction: str = "like", scope: Scope = "personal") -> Json:
    said = {"reaction": reaction, "feedback": '{"feedbackText":"fine"}'}
    value = {"actionName": "feedback", "actionValue": said}
    return invoke("message/submitAction", value, scope, replyToId=to)


def press(to: str, data: Json, scope: Scope = "personal", **more: Any) -> Json:
    """A button of type Action.Submit: a message without text."""
    return activity("message", scope, replyToId=to, value=data, **more)
