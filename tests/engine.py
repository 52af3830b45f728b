#!/usr/bin/env python3
"""engine.py - a docker engine without containers, for the tests of the service module

    engine.py serve SOCKET STATE     speaks the Docker Engine API, for the real client
    engine.py docker STATE ARG...    stands in for the client where there is none: prints
                                     what docker 28.2.2 printed when asked the same

Both keep the containers in the JSON file STATE:
{ "pid": LAST, "containers": { name: { "Id":, "Status":, "Pid":, ... } } }.
A container whose name begins with "stuck" does not obey; one that begins with "broken"
cannot be started.
"""
import fcntl, json, os, socketserver, sys, time, urllib.parse
from http.server import BaseHTTPRequestHandler


class Engine:
    def __init__(self, path, changes=False):
        self.path = path
        self.lock = open(path + ".lock", "w") if changes else None

    def __enter__(self):
        if self.lock:
            fcntl.flock(self.lock, fcntl.LOCK_EX)
        with open(self.path) as f:
            self.state = json.load(f)
        self.all = self.state["containers"]
        return self

    def __exit__(self, *_):
        if not self.lock:
            return
        with open(self.path + ".new", "w") as f:
            json.dump(self.state, f)
        os.rename(self.path + ".new", self.path)
        self.lock.close()

    def find(self, name):
        for key, c in self.all.items():
            if name in (key, c["Id"]) or (len(name) > 11 and c["Id"].startswith(name)):
                return key, c
        return None, None

    def select(self, labels):
        for name, c in self.all.items():
            have = ["%s=%s" % kv for kv in c.get("Labels", {}).items()]
            if all(label in have for label in labels):
                yield name, c

    def act(self, action, name):
        """None, or why not"""
        key, c = self.find(name)
        if c is None:
            return "No such container: " + name
        if key.startswith("stuck"):
            return None
        if action in ("stop", "restart"):
            c.update(Status="exited", Pid=0)
        if key.startswith("broken") and action != "stop":
            return "driver failed programming external connectivity: port is already allocated"
        if action in ("start", "restart") and c["Status"] != "running":
            self.state["pid"] += 1
            c.update(Status="running", Pid=self.state["pid"],
                     StartedAt=time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z", time.gmtime()))
        return None

    def inspect(self, name):
        key, c = self.find(name)
        if c is None:
            return None
        state = {"Status": c["Status"], "Running": c["Status"] == "running",
                 "Paused": c["Status"] == "paused", "Pid": c["Pid"],
                 "StartedAt": c.get("StartedAt", "0001-01-01T00:00:00Z"),
                 "FinishedAt": "0001-01-01T00:00:00Z", "ExitCode": 0, "Error": ""}
        if "Health" in c:
            state["Health"] = {"Status": c["Health"], "FailingStreak": 0, "Log": []}
        return {"Id": c["Id"], "Name": "/" + key, "State": state, "Image": "sha256:0",
                "RestartCount": c.get("RestartCount", 0),
                "HostConfig": {"AutoRemove": c.get("AutoRemove", False)},
                "Config": {"Image": "app:1", "Tty": False, "Labels": c.get("Labels", {})}}


def lines(container, stream, tail):
    return container.get(stream, [])[-tail:]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self):
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass  # a client that does not wait for its answer

    def log_message(self, *_):
        pass

    def answer(self, code, body=b"", kind="application/json"):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Api-Version", "1.50")
        self.send_header("Ostype", "linux")
        if code != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and code != 204:
            self.wfile.write(body)

    def do_HEAD(self):
        self.answer(200, b"OK", "text/plain")

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        ask = urllib.parse.parse_qs(url.query)
        part = url.path.strip("/").split("/")
        if part[0].startswith("v1."):
            part = part[1:]
        if part == ["_ping"]:
            return self.answer(200, b"OK", "text/plain")
        if part == ["version"]:
            return self.answer(200, {"Version": "28.2.2", "ApiVersion": "1.50", "MinAPIVersion": "1.24"})
        with Engine(self.server.state) as e:
            if part == ["containers", "json"]:
                labels = json.loads(ask.get("filters", ["{}"])[0]).get("label", [])
                return self.answer(200, [
                    {"Id": c["Id"], "Names": ["/" + name], "State": c["Status"], "Image": "app:1",
                     "Labels": c.get("Labels", {}), "Ports": [], "Created": 0, "Status": "Up"}
                    for name, c in e.select(labels)])
            if len(part) == 3 and part[0] == "containers":
                seen = e.inspect(part[1])
                if seen is None:
                    return self.answer(404, {"message": "No such container: " + part[1]})
                if part[2] == "json":
                    return self.answer(200, seen)
                if part[2] == "logs":
                    tail = int(ask.get("tail", ["1000"])[0])
                    c = e.find(part[1])[1]
                    out = b""
                    for number, stream in ((1, "out"), (2, "err")):
                        for line in lines(c, stream, tail):
                            text = (line + "\n").encode()
                            out += bytes([number, 0, 0, 0]) + len(text).to_bytes(4, "big") + text
                    return self.answer(200, out, "application/vnd.docker.multiplexed-stream")
        self.answer(404, {"message": "page not found"})

    def do_POST(self):
        part = urllib.parse.urlsplit(self.path).path.strip("/").split("/")
        if part[0].startswith("v1."):
            part = part[1:]
        with Engine(self.server.state, changes=True) as e:
            why = e.act(part[2], part[1])
        if why is None:
            return self.answer(204)
        self.answer(404 if why.startswith("No such") else 500, {"message": why})


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("client", 0)


def serve(path, state):
    server = Server(path, Handler)
    server.state = state
    server.serve_forever()


def label(container, template):
    if template == "{{.ID}}":
        return container["Id"]
    return container.get("Labels", {}).get(template.split('"')[1], "")


def client(state, args):
    if args[0] == "compose":  # the real client starts the plugin
        plugin = os.environ["HOME"] + "/.docker/cli-plugins/docker-compose"
        os.execv(plugin, [plugin] + args)
    if not os.path.exists(state):
        at = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        sys.exit("Cannot connect to the Docker daemon at %s. Is the docker daemon running?" % at)
    names = [a for a in args[1:] if not a.startswith("-")]
    with Engine(state, changes=args[0] in ("start", "stop", "restart")) as e:
        if args[0] == "ps":
            labels = [a[len("--filter=label="):] for a in args if a.startswith("--filter=label=")]
            template = [a[len("--format="):] for a in args if a.startswith("--format=")][0]
            for name, c in e.select(labels):
                print(name if template == "{{.Names}}" else label(c, template))
        elif args[0] == "inspect":
            seen = [e.inspect(n) for n in names]
            if None in seen:
                print("[]")
                sys.exit("Error response from daemon: No such container: " + names[seen.index(None)])
            print(json.dumps(seen, indent=4))
        elif args[0] == "logs":
            tail = [int(a[len("--tail="):]) for a in args if a.startswith("--tail=")][0]
            for number, stream in ((1, "out"), (2, "err")):
                for line in lines(e.find(names[0])[1], stream, tail):
                    os.write(number, (line + "\n").encode())
        else:
            for n in names:
                why = e.act(args[0], n)
                if why is not None:
                    sys.exit("Error response from daemon: " + why)
                print(n)


if sys.argv[1] == "serve":
    serve(*sys.argv[2:4])
else:
    client(sys.argv[2], sys.argv[3:])
