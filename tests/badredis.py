#!/usr/bin/env python3
"""badredis.py - a Redis server that does what servers do at 3 a.m., or stands in the way

    badredis.py fake MODE               answers the handshake, then MODE
    badredis.py proxy PORT WORD ACTION [COMMAND...]
                                        passes everything on to 127.0.0.1:PORT until WORD
                                        comes; then ACTION, once:
        do     performs COMMAND on a connection of its own, then passes on
        before closes without passing on
        after  passes on, waits for the answer, and closes without giving it back
        hang   passes on and never gives anything back

Listens on a free port of loopback and prints it.
"""

import socket
import sys
import threading
import time


def read_command(f):
    line = f.readline()
    if not line.startswith(b"*"):
        return None
    words = []
    for _ in range(int(line[1:])):
        n = int(f.readline()[1:])
        words.append(f.read(n))
        f.read(2)
    return words


def huge(conn):
    conn.sendall(b"$104857600\r\n")
    block = b"x" * 65536
    while True:
        conn.sendall(block)


def many(conn):
    """16 MB of small items, one list in another"""
    conn.sendall(b"*100\r\n")
    for _ in range(100):
        conn.sendall(b"*50000\r\n" + b":1\r\n" * 50000)


MODES = {
    "garbage": lambda c: c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "huge": huge,
    "many": many,
    "long": lambda c: c.sendall(b"*100000000\r\n:1\r\n"),
    "deep": lambda c: c.sendall(b"*1\r\n" * 200 + b":1\r\n"),
    "twice": lambda c: c.sendall(b"+ONE\r\n+TWO\r\n"),
    "loading": lambda c: c.sendall(b"-LOADING Redis is loading the dataset in memory\r\n"),
    "close": lambda c: c.shutdown(socket.SHUT_RDWR),
    "half": lambda c: (c.sendall(b"$10\r\n123"), c.shutdown(socket.SHUT_RDWR)),
    "silent": lambda c: time.sleep(600),
}
GREETINGS = {
    "full": b"-ERR max number of clients reached\r\n",
    "denied": b"-DENIED Redis is running in protected mode\r\n",
}
HANDSHAKE = (b"AUTH", b"SELECT", b"CLIENT")


def fake(conn, mode):
    f = conn.makefile("rb")
    if mode in GREETINGS:
        conn.sendall(GREETINGS[mode])
        conn.shutdown(socket.SHUT_RDWR)
        return
    if mode == "mute":
        time.sleep(600)
    while True:
        words = read_command(f)
        if words is None:
            return
        if words[0].upper() in HANDSHAKE:
            conn.sendall(b"+OK\r\n")
        else:
            MODES[mode](conn)


def encode(words):
    out = b"*%d\r\n" % len(words)
    for w in words:
        w = w.encode()
        out += b"$%d\r\n%s\r\n" % (len(w), w)
    return out


def own(port, words):
    with socket.create_connection(("127.0.0.1", port)) as c:
        for part in (AUTH, words):
            c.sendall(encode(part))
            if c.recv(65536).startswith(b"-"):
                sys.exit("the command was refused")


def pump(source, sink, state):
    try:
        while True:
            data = source.recv(65536)
            if not data or state.get("cut"):
                break
            if not state.get("mute"):
                sink.sendall(data)
            if state.get("last"):
                break
    except OSError:
        pass
    for s in (source, sink):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def proxy(conn, port, word, action, command):
    server = socket.create_connection(("127.0.0.1", port))
    state = {}
    threading.Thread(target=pump, args=(server, conn, state), daemon=True).start()
    while True:
        try:
            data = conn.recv(1 << 20)
        except OSError:
            break
        if not data:
            break
        if b"\r\n%s\r\n" % word.encode() in data and not DONE:
            DONE.append(1)
            if action == "do":
                own(port, command)
            elif action == "before":
                break
            elif action in ("hang", "after"):
                state["mute"] = True
                if action == "after":
                    state["last"] = True
        server.sendall(data)
    for s in (server, conn):
        s.close()


def serve(handler, *args):
    s = socket.create_server(("127.0.0.1", 0))
    print(s.getsockname()[1], flush=True)
    while True:
        conn, _ = s.accept()
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=guarded, args=(handler, conn) + args, daemon=True).start()


def guarded(handler, conn, *args):
    try:
        handler(conn, *args)
    except OSError:
        pass


DONE = []
AUTH = ["AUTH", "admin", "admin-password"]
if sys.argv[1] == "fake":
    serve(fake, sys.argv[2])
else:
    serve(proxy, int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:])
