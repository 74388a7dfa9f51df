#!/usr/bin/env python3
"""The HTTP doors of a real motorcade: which names the port without TLS answers to, and what the TLS port tells browsers."""
import http.client
import socket
import ssl

from platform_under_test import Platform, Tap

tap = Tap()
NAME = "fleet.example.org"


def ask(port, host, path="/", tls=None):
    """Status and headers of one GET with this Host header."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=60)
    if tls:
        raw = tls.wrap_socket(raw, server_hostname="localhost")
    with raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(raw)
        answer.begin()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode(errors="replace")


def plain(platform):
    for host in (f"127.0.0.1:{platform.http}", "localhost", "[::1]:8080", NAME, f"{NAME}:443"):
        status, headers, _ = ask(platform.http, host, "/api/v1/health")
        tap.equal(status, 200, f"without TLS {host} is answered")
        tap.ok("strict-transport-security" not in headers, f"and {host} is not told to insist on TLS")
    for path in ("/", "/api/v1/health", "/api/v1/live", "/assets/x.js"):
        status, _, text = ask(platform.http, "rebound.example:8080", path)
        tap.equal(status, 421, f"a foreign Host is refused at {path}")
        tap.holds(text, "--names", "and told what to do")


def over_tls(platform):
    context = ssl.create_default_context(cafile=platform.data / "ca.pem")
    for path in ("/", "/api/v1/health", "/api/v1/none"):
        status, headers, _ = ask(platform.tls, NAME, path, context)
        tap.equal(headers.get("strict-transport-security"), "max-age=31536000", f"over TLS {path} ({status}) asks to stay with TLS")
    for host in ("localhost", "127.0.0.1", f"[::1]:{platform.tls}", "192.0.2.1"):
        status, headers, _ = ask(platform.tls, host, "/api/v1/health", context)
        tap.equal(status, 200, f"over TLS {host} is answered")
        tap.ok("strict-transport-security" not in headers, f"but {host} is not pinned: the port without TLS has the same name")


platform = Platform(settings=["--names", f"localhost,127.0.0.1,{NAME}"])
try:
    platform.start()
    tap.guard("without TLS", plain, platform)
    tap.guard("over TLS", over_tls, platform)
finally:
    platform.close()
tap.done()
