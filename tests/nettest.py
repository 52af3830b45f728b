#!/usr/bin/env python3
"""nettest.py - what a port may turn out to be: nettest.py FOLDER KIND...

Prints one port for each KIND and serves until its standard input ends. A kind is
"tls:NAME" (FOLDER/NAME.pem and NAME.key), "text" (greets in plain words), "mute" (accepts and
says nothing), "hangup", "six" (on ::1 only), "both" (on ::1 and 127.0.0.1), "stuck" (the same,
but ::1 does not answer).
"""

import socket
import ssl
import sys
import threading


def bound(family, address, port=0):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(64)
    return s


def stuck():
    """a listener whose queue is full: the kernel drops what comes"""
    s = bound(socket.AF_INET6, "::1")
    s.listen(0)
    for _ in range(4):
        c = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        c.setblocking(False)
        c.connect_ex(s.getsockname())
        held.append(c)
    held.append(s)
    return s.getsockname()[1]


def speak(conn, kind, folder, kept):
    try:
        if kind.startswith("tls:"):
            name = folder + "/" + kind[4:]
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(name + ".pem", name + ".key")
            ctx.wrap_socket(conn, server_side=True).close()
        elif kind == "mute":
            kept.append(conn)
            return
        elif kind == "text":
            conn.sendall(b"220 mail.example.org says hello\r\n")
            conn.recv(1024)
        conn.close()
    except (OSError, ssl.SSLError):
        conn.close()


def serve(listener, kind, folder):
    kept = []
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=speak, args=(conn, kind, folder, kept), daemon=True).start()


folder, ports, held = sys.argv[1], [], []
for kind in sys.argv[2:]:
    if kind in ("six", "both"):
        listeners = [bound(socket.AF_INET6, "::1")]
        if kind == "both":
            listeners.append(bound(socket.AF_INET, "127.0.0.1", listeners[0].getsockname()[1]))
    elif kind == "stuck":
        listeners = [bound(socket.AF_INET, "127.0.0.1", stuck())]
    else:
        listeners = [bound(socket.AF_INET, "127.0.0.1")]
    ports.append(str(listeners[0].getsockname()[1]))
    for listener in listeners:
        threading.Thread(target=serve, args=(listener, kind, folder), daemon=True).start()
print(" ".join(ports), flush=True)
sys.stdin.read()
