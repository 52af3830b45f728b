#!/usr/bin/env python3
"""badserver.py - an HTTP server that does what servers do at 3 a.m.

Listens on a free port of loopback and prints it. GET /log tells every request
that came (method, target, headers, body) and never counts itself; GET /quit ends.
With --mute it takes connections and never says a word. With --tls CERT KEY it speaks TLS; with a third file, CA, it asks for a client's certificate.
"""

import gzip
import json
import socket
import ssl
import sys
import threading
import time
import zlib

log = []
lock = threading.Lock()
versions = {}            # path -> number of its ETag
busy = {}                # path -> how often it has said 429


def reply(status, body=b"", headers=(), reason="Whatever"):
    if isinstance(body, str):
        body = body.encode()
    lines = ["HTTP/1.1 %d %s" % (status, reason), "Content-Length: %d" % len(body)]
    lines += ["%s: %s" % h for h in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def js(value, status=200, headers=()):
    return reply(status, json.dumps(value), (("Content-Type", "application/json"), *headers))


def bomb():
    """200 MB of zeros in 200 KB"""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"\0" * (1 << 20)
    return b"".join([packer.compress(block) for _ in range(200)] + [packer.flush()])


def endless(conn, declared):
    head = "Content-Length: %d\r\n" % declared if declared else "Connection: close\r\n"
    conn.sendall(("HTTP/1.1 200 OK\r\n%s\r\n" % head).encode())
    block, left = b"x" * 65536, declared or 1 << 40
    while left > 0:
        conn.sendall(block[:left])
        left -= len(block)


def flood(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\n")
    for n in range(1 << 30):
        conn.sendall(b"X-%d: %s\r\n" % (n, b"y" * 8000))


def stall(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123")
    time.sleep(600)


def middle(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n123")


def drip(conn):
    """an answer that never ends, a byte at a time"""
    conn.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        conn.sendall(b".")
        time.sleep(0.05)


def never(conn):
    time.sleep(600)


def garbage(conn):
    conn.sendall(b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(range(256)))


html = b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head></html>"
plain = {
    "/ok": lambda q: js({"status": "ok", "n": 1, "half": 0.5, "none": None,
                         "list": [1, None, 3], "deep": {"a": [[]]}}),
    "/empty": lambda q: reply(204),
    "/html": lambda q: reply(502, html, (("Content-Type", "text/html"),)),
    "/broken": lambda q: reply(200, '{"a": 1,\n "b": }', (("Content-Type", "application/json"),)),
    "/big-number": lambda q: reply(200, '{"id": 123456789012345678901234567890}'),
    "/nothing": lambda q: reply(200, ""),
    "/500": lambda q: reply(500, "it broke\nbadly"),
    "/429": lambda q: reply(429, "slow down", (("Retry-After", "7"),)),
    "/409": lambda q: js({"error": "already paused"}, 409),
    "/202": lambda q: js({"accepted": True}, 202),
    "/303": lambda q: reply(303, "", (("Location", "/ok"),)),
    "/elsewhere": lambda q: reply(302, "", (("Location", "http://localhost.invalid:1/x"),)),
    "/other-port": lambda q: reply(302, "", (("Location", "http://127.0.0.1:1/x"),)),
    "/userinfo": lambda q: reply(302, "", (("Location", "http://%s@evil.invalid/" % q["host"]),)),
    "/file": lambda q: reply(302, "", (("Location", "file:///etc/passwd"),)),
    "/here": lambda q: reply(302, "", (("Location", "/ok?x=1"),)),
    "/absolute": lambda q: reply(301, "", (("Location", "http://%s/ok" % q["host"]),)),
    "/loop": lambda q: reply(302, "", (("Location", "/loop"),)),
    "/to-method": lambda q: reply(302, "", (("Location", "/ok?_method=DELETE"),)),
    "/gzip": lambda q: reply(200, gzip.compress(b'{"packed": true}'), (("Content-Encoding", "gzip"),)),
    "/bomb": lambda q: reply(200, bomb(), (("Content-Encoding", "gzip"),)),
    "/not-gzip": lambda q: reply(200, b"this is not gzip", (("Content-Encoding", "gzip"),)),
    "/twice": lambda q: reply(200, "x", (("X-Two", "a"), ("X-Two", "b"), ("Set-Cookie", "a=1, 2"),
                                         ("Set-Cookie", "b=2"), ("X-Empty", ""))),
    "/15mb": lambda q: reply(200, b"x" * (15 << 20)),
    "/echo": lambda q: js({k: q[k] for k in ("method", "target", "body")} | {"headers": q["headers"]}),
}
raw = {"/never": never, "/stall": stall, "/endless": lambda c: endless(c, 0),
       "/100mb": lambda c: endless(c, 100 << 20), "/flood": flood, "/middle": middle,
       "/drip": drip, "/garbage": garbage, "/close": lambda c: None}


def versioned(q):
    """/doc/NAME has a strong ETag, /weak/NAME a weak one, /moving/NAME one that moves"""
    kind, name = q["path"].split("/")[1], q["path"]
    with lock:
        n = versions.setdefault(name, 1)
        tag = ('W/"v%d"' if kind == "weak" else '"v%d"') % n
        if kind == "moving" and q["method"] in ("HEAD", "GET"):
            versions[name] += 1
        if q["method"] in ("HEAD", "GET"):
            return js({"version": n}, 200, (("ETag", tag),))
        wanted = q["headers"].get("if-match")
        if wanted is not None and wanted != '"v%d"' % versions[name]:
            return reply(412, "changed")
        versions[name] += 1
        return js({"version": versions[name], "if_match": wanted})


def patience(q):
    """/busy/NAME says 429 twice, then takes it"""
    with lock:
        n = busy[q["path"]] = busy.get(q["path"], 0) + 1
    return reply(429, "slow down") if n < 3 else js({"tries": n})


def later(q):
    """/later/AFTER/STATUS/NAME says STATUS twice, with that Retry-After ("date": in a second), then takes it"""
    _, _, after, status, _ = q["path"].split("/")
    with lock:
        n = busy[q["path"]] = busy.get(q["path"], 0) + 1
    now = time.time() - 3600      # its clock is an hour slow: only the difference counts
    stamp = lambda when: time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(when))
    says = () if after == "none" else (("Date", stamp(now)), ("Retry-After", stamp(now + 1))) \
        if after == "date" else (("Retry-After", after),)
    return reply(int(status), "later", says) if n < 3 else js({"tries": n})


def shaky(q):
    """/shaky/NAME breaks twice, with or without having done it, then takes it"""
    with lock:
        n = busy[q["path"]] = busy.get(q["path"], 0) + 1
    return reply(500, "broken") if n < 3 else js({"tries": n})


def read(f):
    line = f.readline().decode("latin-1").split()
    if len(line) < 2:
        return None
    q = {"method": line[0], "target": line[1], "headers": {}}
    while True:
        h = f.readline().decode("latin-1").strip()
        if not h:
            break
        name, _, value = h.partition(":")
        q["headers"][name.strip().lower()] = value.strip()
    q["body"] = f.read(int(q["headers"].get("content-length", 0))).decode("utf-8", "replace")
    q["path"] = q["target"].split("?")[0]
    q["host"] = q["headers"].get("host", "")
    return q


def one(conn, q, served):
    """the answer; None: the connection is to be closed"""
    path = q["path"]
    if path == "/log":
        return js(log)
    if path == "/quit":
        sys.stdout.flush()
        import os
        os._exit(0)
    with lock:
        log.append({k: q[k] for k in ("method", "target", "headers", "body")})
    if path == "/second" and served > 0:      # a connection that was used before breaks
        return None
    if path == "/second":
        return js({"served": served})
    if path in raw:
        raw[path](conn)
        return None
    if path.split("/")[1] in ("doc", "weak", "moving"):
        return versioned(q)
    if path.startswith("/busy/"):
        return patience(q)
    if path.startswith("/later/"):
        return later(q)
    if path.startswith("/shaky/"):
        return shaky(q)
    return plain.get(path, lambda _: reply(404, "no such page"))(q)


def serve(conn):
    served = 0
    try:
        f = conn.makefile("rb")
        while (q := read(f)) is not None:
            answer = one(conn, q, served)
            served += 1
            if answer is None:
                break
            if q["method"] == "HEAD":
                answer = answer[:answer.index(b"\r\n\r\n") + 4]
            conn.sendall(answer)
        f.close()
    except OSError:
        pass
    finally:
        conn.close()


def greet(conn, context):
    """shakes hands; a refusal is read by the client: closing at once would be a reset, which overtakes it"""
    tls = context.wrap_socket(conn, server_side=True, do_handshake_on_connect=False)
    try:
        tls.do_handshake()
        return tls
    except ssl.SSLError:
        conn = socket.socket(fileno=tls.detach())
        conn.settimeout(2)
        conn.shutdown(socket.SHUT_WR)
        while conn.recv(65536):
            pass
        conn.close()
        raise


def main():
    context = None
    if len(sys.argv) >= 4 and sys.argv[1] == "--tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        if len(sys.argv) == 5:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(sys.argv[4])
    s = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(s.getsockname()[1], flush=True)
    while sys.argv[1:] == ["--mute"]:
        time.sleep(600)

    def handle(conn):
        try:
            serve(greet(conn, context) if context else conn)
        except (OSError, ssl.SSLError):
            conn.close()

    while True:
        conn, _ = s.accept()
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=handle, args=(conn,), daemon=True).start()


main()
