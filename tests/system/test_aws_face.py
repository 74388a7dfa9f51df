#!/usr/bin/env python3
"""The AWS face under attack: signatures that were bent after they were made, clocks, services, keys that ended, and every operation with every role. botocore signs; what
is sent is this test's own. Prints TAP."""
import datetime
import http.client
import json
import pathlib
import re
import sys

import aws_sdk
from aws_sdk import code, send
from platform_under_test import Platform, Tap

tap = Tap()
TARGET = "IoTAutobahnControlPlane."
GET = TARGET + "GetRegisterAccountStatus"
UTC = datetime.timezone.utc


def expect(name, answer, status, exception=""):
    tap.ok(answer[0] == status and code(answer) == exception, f"{name}: {status} {exception or 'answered'}", answer)


# ---- signatures ----


def header(name, change):
    """Changes the value of a header after signing; None takes it away."""

    def bend(sent):
        sent["headers"] = [(n, v) if n.lower() != name.lower() else (n, change(v) if callable(change) else change) for n, v in sent["headers"]]
        sent["headers"] = [(n, v) for n, v in sent["headers"] if v is not None]

    return bend


def more(name, value):
    return lambda sent: sent["headers"].append((name, value))


def field(name, value):
    return lambda sent: sent.__setitem__(name, value)


def spelled(sent):
    sent["headers"] = [("".join(c.upper() if i % 2 else c.lower() for i, c in enumerate(n)), v) for n, v in sent["headers"]]


def reordered(sent):
    sent["headers"] = list(reversed(sent["headers"]))


def spaced(sent):
    sent["headers"] = [(n, f"  {v}  ") if n.lower() == "x-amz-target" else (n, v) for n, v in sent["headers"]]


def scope(old, new):
    return header("Authorization", lambda v: v.replace(old, new))


def signatures(platform, key):
    for name, bend in [("the case of header names means nothing", spelled), ("nor does their order", reordered), ("nor spaces around a value", spaced),
                       ("a header beside the signed ones", more("X-Forwarded-For", "192.0.2.1"))]:
        expect(name, send(platform, key, GET, bend=bend), 200)
    expect("two slashes: AWS's normalisation signs them as one, and nothing is there", send(platform, key, GET, bend=field("path", "/aws//")), 404, "UnknownOperationException")
    INVALID, INCOMPLETE = "InvalidSignatureException", "IncompleteSignatureException"
    for name, bend, exception in [
            ("another operation", header("X-Amz-Target", TARGET + "DeleteFleet"), INVALID),
            ("no operation any more", header("X-Amz-Target", None), INVALID),
            ("two operations", more("X-Amz-Target", TARGET + "DeleteFleet"), INCOMPLETE),
            ("two operations, spelled otherwise", more("x-AMZ-target", TARGET + "DeleteFleet"), INCOMPLETE),
            ("two dates", more("X-Amz-Date", "20300101T000000Z"), INCOMPLETE),
            ("two signatures", more("Authorization", "AWS4-HMAC-SHA256 Credential=a/20300101/r/s/aws4_request, SignedHeaders=host, Signature=" + 64 * "0"), INCOMPLETE),
            ("two types", more("Content-Type", "text/plain"), INCOMPLETE),
            ("an unsigned header of AWS's", more("X-Amz-Meta", "1"), INVALID),
            ("a session token", more("X-Amz-Security-Token", "x"), "UnrecognizedClientException"),
            ("another body", field("body", b"{ }"), INVALID),
            ("no body", field("body", b""), INVALID),
            ("an unsigned body", more("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"), INVALID),
            ("another method", field("method", "PUT"), INVALID),
            ("a query", field("path", "/aws/?a=1"), INVALID),
            ("an escaped path", field("path", "/%61ws/"), INVALID),
            ("a path below", field("path", "/aws/other"), INVALID),
            ("another host", header("Host", "localhost"), INVALID),
            ("another date", header("X-Amz-Date", lambda v: v[:-3] + f"{(int(v[-3:-1]) + 1) % 60:02d}Z"), INVALID),
            ("another region", scope("/eu-central-1/", "/us-east-1/"), INVALID),
            ("another day in the scope", scope("Credential=" + key["id"] + "/20", "Credential=" + key["id"] + "/19"), INVALID),
            ("another service in the scope", scope("/iotfleetwise/", "/s3/"), INVALID),
            ("another end of the scope", scope("/aws4_request", "/aws5_request"), INCOMPLETE),
            ("fewer signed headers", header("Authorization", lambda v: v.replace(";x-amz-target", "")), INVALID),
            ("another signature", header("Authorization", lambda v: v[:-1] + ("0" if v[-1] != "0" else "1")), INVALID),
            ("a signature in capitals", header("Authorization", lambda v: v[:-64] + v[-64:].upper() if v[-64:].upper() != v[-64:] else v[:-1] + "G"), INCOMPLETE),
            ("another algorithm", scope("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"), INCOMPLETE),
            ("a bearer token", header("Authorization", "Bearer mct_x"), INCOMPLETE),
            ("no signature", header("Authorization", None), "MissingAuthenticationTokenException")]:
        expect(f"bent: {name}", send(platform, key, GET, bend=bend), 400, exception)
    expect("a key that does not exist", send(platform, {"id": "AKMCAAAAAAAAAAAAAAAA", "secret": key["secret"]}, GET), 400, "UnrecognizedClientException")
    expect("another secret", send(platform, {"id": key["id"], "secret": "x" + key["secret"][1:]}, GET), 400, INVALID)
    expect("signed for another service", send(platform, key, GET, service="s3"), 400, INVALID)
    expect("any region", send(platform, key, GET, region="ap-northeast-3"), 200)


def clocks(platform, key):
    now = datetime.datetime.now(UTC)
    for seconds, status in [(-280, 200), (280, 200), (-320, 400), (320, 400), (-86400, 400), (86400, 400)]:
        answer = send(platform, key, GET, at=now + datetime.timedelta(seconds=seconds))
        expect(f"signed {seconds:+} s from now", answer, status, "" if status == 200 else "InvalidSignatureException")
        if status != 200:
            tap.holds(answer[2].get("message"), "expired" if seconds < 0 else "not yet current", "and says which way the clock is wrong")
    for ago, life, status in [(0, 60, 200), (30, 60, 200), (61, 60, 400), (3600, 7200, 200), (-320, 600, 400)]:
        answer = send(platform, key, GET, b"", presign=life, at=now - datetime.timedelta(seconds=ago))
        expect(f"presigned for {life} s, {ago} s ago", answer, status, "" if status == 200 else "InvalidSignatureException")
    for name, bend in [("a longer life", lambda s: s.__setitem__("path", s["path"].replace("X-Amz-Expires=60", "X-Amz-Expires=61"))),
                       ("another operation", header("X-Amz-Target", TARGET + "ListFleets")), ("a body", field("body", b"{}")),
                       ("one more parameter", lambda s: s.__setitem__("path", s["path"] + "&a=1"))]:
        expect(f"presigned, bent: {name}", send(platform, key, GET, b"", presign=60, bend=bend), 400, "InvalidSignatureException")
    shuffled = send(platform, key, GET, b"", presign=60, bend=lambda s: s.__setitem__("path", s["path"].split("?")[0] + "?" + "&".join(reversed(s["path"].split("?")[1].split("&")))))
    expect("presigned, its query in another order", shuffled, 200)


def protocol(platform, key):
    expect("an operation that does not exist", send(platform, key, TARGET + "ListEverything"), 400, "UnknownOperationException")
    expect("an operation of another service", send(platform, key, "DynamoDB_20120810.ListTables"), 400, "UnknownOperationException")
    expect("no operation", send(platform, key, None), 400, "UnknownOperationException")
    expect("another path", send(platform, key, GET, path="/aws/things"), 404, "UnknownOperationException")
    expect("another method", send(platform, key, GET, method="GET", body=b""), 405, "UnknownOperationException")
    expect("no JSON 1.0", send(platform, key, GET, headers={"Content-Type": "text/plain"}), 400, "SerializationException")
    expect("compressed", send(platform, key, GET, headers={"Content-Encoding": "gzip"}), 400, "SerializationException")
    for body in (b"{", b"[]", b"7", b'{"a":1,"a":2}', b"\xff"):
        answer = send(platform, key, GET, body)
        expect(f"the input {body}", answer, 400, "ValidationException")
        tap.equal(answer[2].get("reason"), "cannotParse", "and says that it cannot be parsed")
    answer = send(platform, key, TARGET + "TagResource", json.dumps({"ResourceARN": 7, "Tags": [{"Key": "", "Value": "v"}, {"Value": "v"}], "tags": []}).encode())
    expect("several wrong fields", answer, 400, "ValidationException")
    tap.equal(sorted(f["name"] for f in answer[2].get("fieldList", [])), ["ResourceARN", "Tags[0].Key", "Tags[1].Key", "tags"], "each is named by its path")
    headers = {k.lower(): v for k, v in answer[1].items()}
    tap.ok(headers.get("x-amzn-errortype") == "ValidationException" and len(headers.get("x-amzn-requestid", "")) == 36 and headers.get("content-type") == "application/x-amz-json-1.0",
           "a fault carries x-amzn-ErrorType and x-amzn-RequestId", answer[1])
    tap.ok(headers["x-amzn-requestid"].endswith(headers["x-request-id"][-12:]), "whose end is that of X-Request-Id")
    # a body of 2 MiB: taken from a key that exists, not from a stranger, who is told before he sends it
    large = b'{"padding":"' + b"x" * (2 << 20) + b'"}'
    expect("a large body of a known key", send(platform, key, GET, large), 400, "ValidationException")
    try:
        stranger = send(platform, {"id": "AKMCAAAAAAAAAAAAAAAA", "secret": "x"}, GET, large)[0]
    except OSError:
        stranger = 413  # closed while we sent
    tap.equal(stranger, 413, "a large body of a stranger is refused")


# ---- who may what ----

ACCOUNT = ("RegisterAccount", "GetRegisterAccountStatus", "PutLoggingOptions", "GetLoggingOptions", "PutEncryptionConfiguration", "GetEncryptionConfiguration")
CHANGING = ("Create", "Update", "Delete", "Put", "Batch", "Associate", "Disassociate", "Import", "Register", "Tag", "Untag")
RANK = {"viewer": 1, "operator": 2, "admin": 3}


def least_role(operation):
    changes = operation.startswith(CHANGING)
    if operation in ACCOUNT:
        return "admin" if changes else "operator"
    return "operator" if changes else "viewer"


def roles(platform, keys):
    """Every operation with every role. The input is one that no operation takes, so nothing happens where the door is open."""
    landed = []
    for operation in sorted(aws_sdk.model().operation_names):
        answers = {role: code(send(platform, keys[role], TARGET + operation, b'{"no such member":1}')) for role in RANK}
        if set(answers.values()) == {"UnknownOperationException"}:
            continue
        landed.append(operation)
        want = {role: "ValidationException" if RANK[role] >= RANK[least_role(operation)] else "AccessDeniedException" for role in RANK}
        tap.equal(answers, want, f"{operation}: {least_role(operation)} and above")
    tap.note(f"{len(landed)} of {aws_sdk.OPERATIONS} operations are there")
    stored = b"".join(p.read_bytes() for p in sorted((platform.data / "journal").rglob("*")) if p.is_file())
    records = {r["seq"]: r for r in map(json.loads, re.findall(rb'\{"seq":[0-9]+,"prev":"[^{}]*?\}', stored))}.values()
    records = [r for r in records if r["kind"] == "key" and r["fields"] == ["no such member"]]
    changing = [o for o in landed if o.startswith(CHANGING)]
    for operation in changing:
        statuses = sorted((r["name"], r["status"]) for r in records if r["operation"] == f"iotfleetwise:{operation}")
        tap.equal(statuses, sorted((role, 400) for role in RANK), f"{operation}: each of the three tries is in the audit chain")
    tap.equal({r["operation"] for r in records}, {f"iotfleetwise:{o}" for o in changing}, "and nothing that only reads")


def keys_end(platform, keys):
    made = aws_sdk.access_key(platform, "short-lived", "viewer")
    expect("a new key", send(platform, made, TARGET + "ListTagsForResource"), 400, "ValidationException")
    platform.command("access-key", "revoke", made["id"])
    expect("a revoked key", send(platform, made, TARGET + "ListTagsForResource"), 400, "UnrecognizedClientException")
    platform.kill()
    platform.start()
    expect("keys live through kill -9", send(platform, keys["viewer"], TARGET + "ListTagsForResource"), 400, "ValidationException")
    expect("and so does their end", send(platform, made, TARGET + "ListTagsForResource"), 400, "UnrecognizedClientException")
    text = (platform.data / "motorcade.db").read_bytes() + platform.log.read_bytes() + b"".join(p.read_bytes() for p in platform.data.glob("motorcade.db-*"))
    tap.ok(not any(k["secret"].encode() in text for k in [*keys.values(), made]), "no secret stands in the database or in the log")
    shown = platform.command("access-key", "list") + platform.command("access-key", "list", "--json")
    tap.ok(keys["admin"]["id"] in shown and keys["admin"]["secret"] not in shown, "the list names keys, not their secrets", shown)
    words = platform.command("access-key", "create", "printed").split()
    tap.ok(words[0] == "aws_access_key_id" and code(send(platform, {"id": words[2], "secret": words[5]}, TARGET + "ListTagsForResource")) == "ValidationException",
           "access-key create prints what an AWS configuration takes", words[:3])
    bad = platform.command("access-key", "create", "x", "--role", "king", check=False)
    tap.ok(bad.returncode == 1 and "role" in bad.stderr, "a role that is none is refused", bad.stderr)
    mode = (platform.data / "access.key").stat().st_mode & 0o777
    tap.equal(oct(mode), "0o600", "access.key is its owner's alone")


def over_tls(platform, key):
    """The TLS port, as other machines reach it: boto3 with our authority."""
    import boto3

    client = boto3.session.Session(aws_access_key_id=key["id"], aws_secret_access_key=key["secret"], region_name="eu-west-1").client(
        "iotfleetwise", endpoint_url=f"https://localhost:{platform.tls}/aws", verify=str(platform.data / "ca.pem"))
    tap.equal(client.get_register_account_status()["accountStatus"], "REGISTRATION_SUCCESS", "boto3 over TLS")


def rates(platform, key):
    answers = [code(send(platform, key, GET)) for _ in range(30)]
    tap.ok(answers.count("") == 30, "thirty requests in a row are no crowd", answers)
    seen = set()
    for _ in range(600):
        answer = send(platform, {"id": "AKMCAAAAAAAAAAAAAAAA", "secret": "x"}, GET)
        seen.add(code(answer))
        if code(answer) == "ThrottlingException":
            tap.ok(answer[2].get("retryAfterSeconds", 0) >= 1 and answer[0] == 400, "who guesses is slowed down, and told for how long", answer)
            break
    tap.equal(seen, {"UnrecognizedClientException", "ThrottlingException"}, "strangers are counted by address")
    expect("while a key is not", send(platform, key, GET), 200)


# ---- tenants ----

PASSWORD = "correct horse battery"


class Browser:
    """A session of our own API: signed in by name and password. Each from an address of its own, since failed tries are counted by address."""

    addresses = 0

    def __init__(self, platform, name, password=PASSWORD):
        Browser.addresses += 1
        self.platform, self.cookie, self.csrf, self.address = platform, None, None, f"127.0.9.{Browser.addresses}"
        self.status, self.me, headers = self.ask("POST", "/api/v1/session", {"name": name, "password": password})
        self.cookie = (headers.get("set-cookie") or "").split(";")[0]
        self.csrf = (self.me or {}).get("csrf")

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.platform.http, timeout=30, source_address=(self.address, 0))
        headers = {"Content-Type": "application/json"} if body is not None else {}
        headers.update({"Cookie": self.cookie, "X-CSRF-Token": self.csrf} if self.csrf else {})
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text else None, {k.lower(): v for k, v in answer.getheaders()}


def story():
    """(operation, input) of a whole life, up to where it deletes everything again."""
    for line in (pathlib.Path(__file__).resolve().parent.parent / "campaign/corpus/control/life").read_text().splitlines():
        operation, _, given = line.partition(" ")
        if operation == "DeleteCampaign":
            return
        yield operation, given


def tenants(platform, key):
    secret = platform.base / "password"
    secret.write_text(PASSWORD + "\n")
    made = json.loads(platform.command("tenant", "create", "second", "--admin", "boss", "--password-file", str(secret), "--json"))
    tap.ok(made["name"] == "second" and made["id"] > 1 and "second" in platform.command("tenant", "list"), "a second tenant is made by a command", made)
    again = platform.command("tenant", "create", "second", "--password-file", str(secret), check=False)
    tap.ok(again.returncode == 1 and "already" in again.stderr, "not twice", again.stderr)
    tap.equal(platform.command("tenant", "create", "No/Name", "--password-file", str(secret), check=False).returncode, 1, "a name that is none is refused")
    tap.equal([Browser(platform, name).status for name in ("boss", "third/boss", "second/nobody", "second/boss/x", "/boss")], [401] * 5, "its admin is nobody elsewhere")
    boss = Browser(platform, "second/boss")
    tap.ok(boss.status == 200 and boss.me["tenant"] == "second" and boss.me["role"] == "admin", "its admin signs in with the tenant's name before his own", boss.me)
    tap.equal([boss.ask("GET", "/api/v1/tenants")[0], boss.ask("POST", "/api/v1/tenants", {"name": "mine", "admin": "me", "password": PASSWORD})[0]], [403, 403], "but makes no tenants")
    status, created, _ = boss.ask("POST", "/api/v1/access-keys", {"name": "second", "role": "admin"})
    tap.equal(status, 201, "and makes access keys")
    other = {"id": created["access_key"]["key_id"], "secret": created["secret"]}
    for operation, given in story():
        answer = send(platform, key, TARGET + operation, given.encode())
        if answer[0] != 200:
            tap.ok(False, f"{operation} in the first tenant", answer)
    seen = set()
    for operation, given in story():
        if operation.startswith(("Create", "Import", "Register", "Put", "Batch")):
            continue
        answer = send(platform, other, TARGET + operation, given.encode())
        text = json.dumps(answer[2])
        if operation.startswith(("Get", "List")) and answer[0] == 200:
            seen |= {name for name in ("life-1", "car-", "fleet-1", "imported", "from-dbc", "fleet/errors") if name in text}
        if operation.startswith(("Update", "Associate", "Tag")) and code(answer) != "ResourceNotFoundException":
            seen.add(f"{operation}: {answer[0]} {code(answer)}")
    tap.equal(sorted(seen), [], "nothing of the first tenant is read or changed by the second's key")
    bad = [operation for operation, given in story() if send(platform, other, TARGET + operation, given.encode())[0] != 200]
    tap.equal(bad, [], "the same life is lived beside it, under the same names")
    tap.equal([v["name"] for v in boss.ask("GET", "/api/v1/vehicles")[1]["items"] if "motorcade" in v["name"]], [], "its vehicles are its own")


def main():
    reason = aws_sdk.ready()
    if reason:
        tap.skip("the AWS face", reason)
        tap.done()
    platform = Platform().start()
    try:
        keys = {role: aws_sdk.access_key(platform, role, role) for role in RANK}
        tap.guard("signatures", signatures, platform, keys["admin"])
        tap.guard("clocks", clocks, platform, keys["admin"])
        tap.guard("protocol", protocol, platform, keys["admin"])
        tap.guard("roles", roles, platform, keys)
        tap.guard("keys", keys_end, platform, keys)
        tap.guard("TLS", over_tls, platform, keys["operator"])
        tap.guard("tenants", tenants, platform, keys["admin"])
        tap.guard("rates", rates, platform, keys["admin"])
    finally:
        platform.close()
    tap.done()


if __name__ == "__main__":
    sys.exit(main())
