"""A motorcade of its own for a system test: temporary data folder, free ports, the real program. Also TAP output.

Everything is started by process id and ended by it. Standard library only; MQTT comes from the tests that need it.
"""
import fcntl
import http.client
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("MOTORCADE_BUILD", ROOT / "build"))
MOTORCADE = str(BUILD / "motorcade")
EDGE = str(BUILD / "motorcade-edge")
POWERCUT = str(BUILD / "tests" / "motorcade-powercut")  # motorcade, on a file layer that forgets what was not synced: tests/powercut/power_fs.c


def use_debian_python(module):
    """Goes on under Debian's Python when this one lacks a module that Debian's packages bring."""
    try:
        __import__(module)
        return
    except ImportError:
        pass
    debian = "/usr/bin/python3"
    if os.path.exists(debian) and not os.environ.get("MOTORCADE_DEBIAN_PYTHON"):
        os.environ["MOTORCADE_DEBIAN_PYTHON"] = "1"
        os.execv(debian, [debian] + sys.argv)
    print(f"ok 1 - {os.path.basename(sys.argv[0])} # SKIP the Python module {module} is not installed (Debian: python3-paho-mqtt)\n1..1")
    sys.exit(0)


def data_dir():
    """The folder of real inputs, or None."""
    folder = pathlib.Path(os.environ.get("MOTORCADE_DATA") or ROOT.parent / "shared" / "data")
    return folder if (folder / "README.md").exists() else None


def npm_ready():
    """The npm packages of package-lock.json are there (installed when missing)."""
    here = pathlib.Path(__file__).resolve().parent
    if not shutil.which("node") or not shutil.which("npm"):
        return False
    with open(pathlib.Path(tempfile.gettempdir()) / f"motorcade-npm-{os.getuid()}.lock", "w") as alone:  # tests run side by side
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not all((here / "node_modules" / name).exists() for name in ("mqtt", "aws-sdk")):
            subprocess.run(["npm", "ci", "--loglevel=error"], cwd=here, check=True, stdout=subprocess.DEVNULL)
    return True


class Tap:
    def __init__(self):
        self.count = self.failed = 0
        self.lock = threading.Lock()

    def ok(self, condition, name, *diagnosis):
        with self.lock:
            self.count += 1
            if not condition:
                self.failed += 1
            print(f"{'ok' if condition else 'not ok'} {self.count} - {name}", flush=True)
            if not condition:
                for text in diagnosis:
                    for line in str(text).splitlines() or [""]:
                        print(f"# {line}", flush=True)
        return bool(condition)

    def equal(self, got, want, name):
        return self.ok(got == want, name, f"got  {got!r}", f"want {want!r}")

    def holds(self, text, part, name):
        return self.ok(part.lower() in str(text).lower(), name, f"{part!r} is not in: {text}")

    def skip(self, name, reason):
        with self.lock:
            self.count += 1
            print(f"ok {self.count} - {name} # SKIP {reason}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def guard(self, name, function, *arguments):
        """Runs a part; an exception is a failure with its text, and the rest goes on."""
        try:
            function(*arguments)
        except Exception as problem:  # noqa: BLE001 - a test must tell what broke, whatever it is
            import traceback

            self.ok(False, f"{name} ran to its end", f"{type(problem).__name__}: {problem}", traceback.format_exc(limit=4))

    def done(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)


ports = itertools.count()
hundred = None


def own_hundred():
    """The first of a hundred ports that no other test takes from while this process lives."""
    global hundred
    for n in range(220):
        if hundred:
            break
        number = (os.getpid() + n) % 220
        lock = open(pathlib.Path(tempfile.gettempdir()) / f"motorcade-ports-{os.getuid()}-{number}.lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hundred = 10000 + number * 100, lock
        except OSError:
            lock.close()
    if not hundred:
        raise RuntimeError("other tests have taken all ports")
    return hundred[0]


def free_port():
    """One that nobody listens on, out of a hundred that are this process's: tests run side by side. Below those that the system gives to outgoing connections, so that it
    is still free when a platform comes back to it."""
    first = own_hundred()
    for _ in range(100):
        port = first + next(ports) % 100
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError(f"no port is free from {first} on")


PATIENCE_S = 60  # for what must come: a machine may be slow, and its disk too


def wait_for(condition, seconds, what="", step=0.02, patient=True):
    """The condition's first true value, or a TimeoutError that says what was waited for. seconds: what it takes on a machine that has time; a slow one is given more."""
    seconds = max(seconds, PATIENCE_S) if patient else seconds
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise TimeoutError(f"waited {seconds} s for {what or 'a condition'}")
        time.sleep(step)


class ApiError(Exception):
    def __init__(self, status, problem):
        super().__init__(f"HTTP {status}: {problem}")
        self.status, self.problem = status, problem


class Platform:
    """init once, start and kill as often as wanted on the same folder and ports."""

    def __init__(self, data=None, settings=()):
        self.own = data is None
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="motorcade-test-")) if self.own else pathlib.Path(data)
        self.data = self.base / "data"
        self.log = self.base / "log"
        self.cuts = self.base / "cuts"  # where motorcade-powercut ended itself, a line each
        self.http, self.mqtt, self.tls, self.dev = (free_port() for _ in range(4))
        self.settings = list(settings)
        self.process = None
        self.command("init")

    def command(self, *arguments, check=True, timeout=300):
        """A motorcade command on this folder; its output as text."""
        done = subprocess.run([MOTORCADE, *arguments, "--data", str(self.data)], capture_output=True, text=True, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"motorcade {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout if check else done

    def start(self, wait=True, power=None):
        """power: numbers for motorcade-powercut (power_fs.c: seed, cut, lie), which is then started in place of motorcade."""
        environment = None
        if power is not None:
            environment = dict(os.environ, MOTORCADE_POWER_TRACE=str(self.cuts), **{f"MOTORCADE_POWER_{k.upper()}": str(v) for k, v in power.items()})
        arguments = [MOTORCADE if power is None else POWERCUT, "serve", "--data", str(self.data), "--http-port", str(self.http), "--mqtt-port", str(self.mqtt), "--tls-port", str(self.tls),
                     "--dev-port", str(self.dev), "--insecure-dev", "true", "--metrics-open", "true", *self.settings]
        (self.data / "local.json").unlink(missing_ok=True)
        self.log_file = open(self.log, "ab")
        self.started = time.monotonic()
        self.process = subprocess.Popen(arguments, stdout=self.log_file, stderr=self.log_file, stdin=subprocess.DEVNULL, env=environment)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=60):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"motorcade serve ended with {self.process.returncode}:\n{self.log_tail()}")
            return (self.data / "local.json").exists()

        wait_for(ready, seconds, "motorcade to be ready", 0.005)
        self.local = json.loads((self.data / "local.json").read_text())

    def log_tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self):
        """No goodbye: SIGKILL."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.log_file.close()
            self.process = None

    def stop(self, seconds=60):
        """SIGTERM; the exit code."""
        if not self.process:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "killed: did not end within %d s" % seconds
        self.log_file.close()
        self.process = None
        return code

    def close(self):
        self.stop()
        if self.own and not os.environ.get("MOTORCADE_TEST_KEEP"):
            shutil.rmtree(self.base, ignore_errors=True)

    # ---- HTTP ----
    def api(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {self.local['token']}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        for _ in range(200):
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            text = reply.read().decode()
            if reply.status != 429:
                break
            time.sleep(0.1)  # the limit of one client; tests ask often
        connection.close()
        if reply.status // 100 != 2:
            try:
                text = json.loads(text)
            except ValueError:
                pass
            raise ApiError(reply.status, text)
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def api_all(self, path):
        items, cursor = [], ""
        while True:
            page = self.api("GET", f"{path}{'&' if '?' in path else '?'}limit=1000{'&after=' + cursor if cursor else ''}")
            items += page["items"]
            cursor = page.get("next", "")
            if not cursor:
                return items

    def metric(self, name):
        for line in str(self.api("GET", "/metrics")).splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        return None

    # ---- vehicles ----
    def vehicle(self, name, **facts):
        """Creates a vehicle with a certificate; a dict with id, fingerprint and the paths cert, key, ca."""
        made = self.api("POST", "/api/v1/vehicles", {"name": name, **facts})
        return self.certificate(made["id"], name)

    def certificate(self, vehicle, name):
        issued = self.api("POST", f"/api/v1/vehicles/{vehicle}/certificates", {})
        folder = self.base / "devices" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, key in (("cert.pem", "certificate_pem"), ("key.pem", "private_key_pem"), ("ca.pem", "ca_pem")):
            (folder / file).write_text(issued[key])
        return {"name": name, "id": vehicle, "fingerprint": issued["certificate"]["id"], "cert": str(folder / "cert.pem"), "key": str(folder / "key.pem"), "ca": str(folder / "ca.pem")}

    def revoke(self, device):
        self.api("PATCH", f"/api/v1/certificates/{device['fingerprint']}", {"state": "revoked"})

    def events(self):
        return self.api("GET", "/api/v1/clients/events?limit=500")["items"]

    # ---- the journal ----
    def journal(self, stream=None):
        """All records of a stream, as `motorcade journal tail --json` tells them."""
        arguments = ["journal", "tail", "--json"] + (["--stream", stream] if stream else [])
        return [json.loads(line) for line in self.command(*arguments, timeout=300).splitlines()]


def stranger(folder, name):
    """A certificate of another authority, for the same name."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    run = lambda *a: subprocess.run(["openssl", *a], check=True, capture_output=True)  # noqa: E731
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=someone else", "-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem"))
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", str(folder / "key.pem"), "-out", str(folder / "req.pem"))
    run("x509", "-req", "-in", str(folder / "req.pem"), "-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial", "-days", "30", "-out", str(folder / "cert.pem"))
    return {"name": name, "cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
