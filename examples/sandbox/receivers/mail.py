"""mail.py - a mail server that keeps what it gets, and can be told to misbehave"""

import asyncio
import email
import email.policy
import ssl
import threading
import time

from aiosmtpd.smtp import AuthResult, SMTP, LoginPassword


class Handler:
    def __init__(self, kept, port):
        self.kept, self.port = kept, port

    async def handle_RCPT(self, server, session, envelope, address, options):
        how = self.kept.answer("mail")
        if how in ("451", "450", "421"):
            return how + " 4.7.1 Greylisted, please try again later"
        if how is not None and how[:1] == "5":
            return how[:3] + " 5.1.1 No such mailbox here"
        if how is not None:  # it is for what comes after
            session.how = how
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        how = getattr(session, "how", None)
        session.how = None
        text = envelope.content.decode("utf-8", "surrogateescape")
        message = email.message_from_string(text, policy=email.policy.default)
        parts = [{"type": p.get_content_type(), "name": p.get_filename(),
                  "params": dict(p["Content-Type"].params) if p["Content-Type"] else {},
                  "content": p.get_content() if p.get_content_maintype() == "text"
                  else p.get_payload(decode=True).hex()}
                 for p in message.walk() if not p.is_multipart()]
        status = None if how == "drop" else int(how.split()[1]) if how and how.startswith("data ") else 250
        self.kept.add(service="mail", at=time.time(), status=status, port=self.port,
                      sender=envelope.mail_from, to=envelope.rcpt_tos, tls=session.ssl is not None,
                      user=getattr(session, "user", None), subject=str(message["Subject"]),
                      headers={k.lower(): str(v) for k, v in message.items()}, parts=parts, raw=text)
        if how == "drop":
            server.transport.abort()
            return "250 never heard"
        if status != 250:
            return "%d 5.7.1 Refused after all" % status
        return "250 OK: taken"


def start(o, kept):
    """Three servers: plain; with STARTTLS and AUTH; with TLS from the first byte and AUTH."""
    context = None
    ports = {}
    loop = asyncio.new_event_loop()

    def login(server, session, envelope, mechanism, data):
        if isinstance(data, LoginPassword) and data.login.decode() == o.user \
                and data.password.decode() == o.password:
            session.user = o.user
            return AuthResult(success=True)
        return AuthResult(success=False, handled=False)

    if o.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*o.tls)

    def serve(name, port, outer=None, **options):
        def session():
            return SMTP(Handler(kept, name), hostname="sandbox.example", enable_SMTPUTF8=True,
                        loop=loop, **options)

        server = loop.run_until_complete(
            loop.create_server(session, "127.0.0.1", port, ssl=outer))
        ports["RECEIVERS_%s_PORT" % name] = server.sockets[0].getsockname()[1]

    auth = {"authenticator": login, "auth_required": o.user is not None} if o.user else {}
    serve("SMTP", o.smtp)
    if context is not None:
        serve("STARTTLS", 0, tls_context=context, require_starttls=True, **auth)
        serve("SMTPS", 0, outer=context, auth_require_tls=False, **auth)
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return ports
