"""web.py - the HTTP receivers: each checks what it gets as the real one does"""

import hashlib
import hmac
import http.server
import json
import re
import threading
import time

from schema import pagerduty, slack, teams

FRESH = 300  # seconds that a signed webhook may be old


class Refused(Exception):
    """An answer that says no: status, body."""


def webhook(handler, name, body):
    """The signature is HMAC-SHA256 of "TIMESTAMP.BODY" with the shared secret."""
    stamp = handler.headers.get("Runbook-Timestamp", "")
    signature = handler.headers.get("Runbook-Signature", "")
    if not handler.server.secret:
        return 200, "taken"
    if not stamp.isdigit() or abs(time.time() - int(stamp)) > FRESH:
        raise Refused(401, "the timestamp is missing or old")
    signed = hmac.new(handler.server.secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    if not hmac.compare_digest("sha256=" + signed.hexdigest(), signature):
        raise Refused(401, "the signature does not fit")
    return 200, "taken"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body=b"", kind="text/plain", headers=()):
        if isinstance(body, str):
            body = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def control(self):
        body = self.body()
        if self.path == "/kept" and self.command == "DELETE":
            self.server.kept.forget()
        elif self.path == "/control" and self.command == "POST":
            self.server.kept.behave(json.loads(body))
        elif self.path == "/health":
            body = json.dumps({"receivers": self.server.token})
            return self.reply(200, body, "application/json")
        else:
            return self.reply(404, "nothing is here")
        return self.reply(204)

    def do_GET(self):
        self.control()

    def do_DELETE(self):
        self.control()

    # -- what people are told by

    def misbehave(self, how):
        """Answers as a test wants it; the status, or None where there is no answer."""
        word, _, rest = how.partition(" ")
        if word == "429":
            self.reply(429, "rate_limited", headers=[("Retry-After", rest)] if rest else [])
        elif word == "html":
            self.reply(200, "<html><body>Please log in</body></html>", "text/html; charset=utf-8")
        elif word == "nothing":
            self.rfile.read(1)  # until the other side has given up
            self.close_connection = True
            return None
        elif word == "drop":
            self.close_connection = True
            return None
        else:
            self.reply(int(word), rest or "trouble")
        return 200 if word == "html" else int(word)

    def take(self, service, name, body):
        if self.headers.get("Content-Type", "").split(";")[0] != "application/json":
            raise Refused(400, "invalid_payload")
        try:
            payload = json.loads(body)
        except ValueError:
            raise Refused(400, "invalid_payload")
        if service == "slack":
            slack(payload, Refused)
            return 200, "ok"
        if service == "teams":
            teams(payload, Refused)
            return 202, ""
        if service == "pagerduty":
            return 202, json.dumps(pagerduty(payload, self.server.routing, Refused))
        return webhook(self, name, body)

    def do_POST(self):
        known = re.fullmatch(r"/(slack|teams|webhook)/([^/]+)/([^/]+)|/(pagerduty)/v2/enqueue()()", self.path)
        if known is None:
            return self.control()
        body = self.body()
        service, name = known[1] or known[4], known[2] or ""
        entry = {"service": service, "to": name, "at": time.time(),
                 "headers": {k.lower(): v for k, v in self.headers.items()}}
        try:
            entry["body"] = json.loads(body)
        except ValueError:
            entry["body"] = body.decode("utf-8", "replace")
        how = self.server.kept.answer(service)
        if how is not None:
            entry.update(status=None if how in ("nothing", "drop") else int((how + " ").split()[0])
                         if how != "html" else 200, how=how)
            self.server.kept.add(**entry)
            return self.misbehave(how)
        try:
            if known[3] and known[3] != self.server.token:
                raise Refused(404, "no_service")
            status, answer = self.take(service, name, body)
        except Refused as no:
            status, answer = no.args
        entry["status"] = status
        self.server.kept.add(**entry)
        kind = "application/json" if service == "pagerduty" else "text/plain"
        return self.reply(status, answer, kind)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def start(port, token, secret, kept):
    server = Server(("127.0.0.1", port), Handler)
    server.token, server.secret, server.kept = token, secret, kept
    server.routing = hashlib.md5(token.encode()).hexdigest()  # 32 letters, as PagerDuty's are
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
