"""schema.py - what Slack, Teams and PagerDuty take, as their documentation says"""

BLOCKS = {"section", "header", "divider", "context", "actions", "image", "input", "rich_text",
          "video", "file", "markdown"}
SEVERITIES = ("critical", "error", "warning", "info")


def words(value, most):
    return isinstance(value, str) and 0 < len(value) <= most


def slackblock(block, no):
    if not isinstance(block, dict) or block.get("type") not in BLOCKS:
        raise no(400, "invalid_blocks")
    if block["type"] == "section":
        text = block.get("text")
        if not (isinstance(text, dict) and text.get("type") in ("mrkdwn", "plain_text")
                and words(text.get("text"), 3000)) and not block.get("fields"):
            raise no(400, "invalid_blocks")
    if block["type"] == "header":
        text = block.get("text")
        if not (isinstance(text, dict) and text.get("type") == "plain_text" and words(text.get("text"), 150)):
            raise no(400, "invalid_blocks")


def slack(payload, no):
    if not isinstance(payload, dict):
        raise no(400, "invalid_payload")
    if "blocks" in payload:
        if not isinstance(payload["blocks"], list) or len(payload["blocks"]) > 50:
            raise no(400, "invalid_blocks")
        for block in payload["blocks"]:
            slackblock(block, no)
    elif not words(payload.get("text"), 40000):
        raise no(400, "no_text")


def teams(payload, no):
    """A workflow's webhook: a message with adaptive cards."""
    try:
        assert payload["type"] == "message"
        assert len(payload["attachments"]) > 0
        for one in payload["attachments"]:
            assert one["contentType"] == "application/vnd.microsoft.card.adaptive"
            card = one["content"]
            assert card["type"] == "AdaptiveCard" and isinstance(card["version"], str)
            assert len(card["body"]) > 0 and all(isinstance(e["type"], str) for e in card["body"])
    except (AssertionError, KeyError, TypeError):
        raise no(400, "Bad payload received by generic incoming webhook.")


def pagerduty(event, routing, no):
    import json

    def invalid(*errors):
        return no(400, json.dumps({"status": "invalid event", "message": "Event object is invalid",
                                   "errors": list(errors)}))
    if not isinstance(event, dict) or not words(event.get("routing_key"), 32) or len(event["routing_key"]) != 32:
        raise invalid("'routing_key' is missing or of the wrong length")
    if event["routing_key"] != routing:
        raise no(400, json.dumps({"status": "invalid event", "message": "Invalid routing key", "errors": []}))
    action = event.get("event_action")
    if action not in ("trigger", "acknowledge", "resolve"):
        raise invalid("'event_action' is missing or invalid")
    if "dedup_key" in event and not words(event["dedup_key"], 255):
        raise invalid("'dedup_key' is too long")
    if action != "trigger" and "dedup_key" not in event:
        raise invalid("'dedup_key' is missing")
    if action == "trigger":
        payload = event.get("payload")
        if not isinstance(payload, dict) or not words(payload.get("summary"), 1024) \
                or not words(payload.get("source"), 1024) or payload.get("severity") not in SEVERITIES:
            raise invalid("'payload' needs summary, source and severity")
    return {"status": "success", "message": "Event processed", "dedup_key": event.get("dedup_key", "made-up")}
