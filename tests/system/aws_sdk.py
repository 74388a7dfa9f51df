"""boto3 for the tests of the AWS face: the SDK's own model of iotfleetwise is the judge of what the server says.

The packages of aws_requirements.txt (pinned, with hashes) are taken as they are when this Python has them, else installed beside this file once.
"""
import fcntl
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MODULES = HERE / "python_modules"
OPERATIONS = 57


def ready():
    """None, or the reason why there is no SDK."""
    for install in (False, True):
        if install:
            done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--target", str(MODULES), "-r",
                                   str(HERE / "aws_requirements.txt")], capture_output=True, text=True)
            if done.returncode:
                return f"boto3 could not be installed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
        if MODULES.exists() and str(MODULES) not in sys.path:
            sys.path.insert(0, str(MODULES))
        try:
            import boto3  # noqa: F401

            if len(model().operation_names) == OPERATIONS:
                return None
        except ImportError:
            pass
    return f"this boto3 does not have {OPERATIONS} operations"


def command_line(platform, key):
    """(a function that runs `aws iotfleetwise WORDS` and gives its subprocess.CompletedProcess, None), or (None, the reason why there is no AWS command line). It has a folder of its own,
    since it goes with one botocore only."""
    folder = MODULES / "cli"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="utf-8") as alone:  # tests run side by side
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--target",
                                   str(folder), "-r", str(HERE / "aws_requirements.txt"), "-r", str(HERE / "aws_cli_requirements.txt")], capture_output=True, text=True)
            if done.returncode:
                return None, f"awscli could not be installed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
            (folder / "installed").touch()
    environment = {**os.environ, "PYTHONPATH": str(folder), "AWS_ACCESS_KEY_ID": key["id"], "AWS_SECRET_ACCESS_KEY": key["secret"], "AWS_DEFAULT_REGION": "eu-central-1",
                   "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                   "AWS_ENDPOINT_URL_IOTFLEETWISE": f"http://127.0.0.1:{platform.http}/aws"}

    def run(*words):
        return subprocess.run([sys.executable, "-m", "awscli", "iotfleetwise", *words], capture_output=True, text=True, timeout=120, env=environment)

    return run, None


def model():
    import botocore.session

    return botocore.session.get_session().get_service_model("iotfleetwise")


def client(platform, key, service="iotfleetwise", **config):
    import boto3
    from botocore.config import Config

    return boto3.session.Session(aws_access_key_id=key["id"], aws_secret_access_key=key["secret"], region_name="eu-central-1").client(
        service, endpoint_url=f"http://127.0.0.1:{platform.http}/aws", config=Config(retries={"max_attempts": 1, "mode": "standard"}, connect_timeout=30, read_timeout=120, **config))


def access_key(platform, name, role):
    made = platform.api("POST", "/api/v1/access-keys", {"name": name, "role": role})
    return {"id": made["access_key"]["key_id"], "secret": made["secret"], "number": made["access_key"]["id"]}


def send(platform, key, target, body=b"{}", headers=(), region="eu-central-1", service="iotfleetwise", path="/aws/", method="POST", bend=None, at=None, presign=None):
    """One request signed by botocore and sent as it is, or bent after signing: bend(request) may change what it likes of {method, path, headers: [(name, value)], body}.
    (status, headers, JSON)."""
    import http.client
    from unittest import mock

    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    host = f"127.0.0.1:{platform.http}"
    said = {"Content-Type": "application/x-amz-json-1.0", "Host": host, **({"X-Amz-Target": target} if target else {}), **dict(headers)}
    request = AWSRequest(method=method, url=f"http://{host}{path}", headers=said, data=b"" if presign else body)
    kind = botocore.auth.SigV4QueryAuth if presign else botocore.auth.SigV4Auth
    signer = kind(Credentials(key["id"], key["secret"]), service, region, **({"expires": presign} if presign else {}))
    if at:
        frozen = "botocore.auth.get_current_datetime"
        with mock.patch(frozen, lambda *a, **k: at):
            signer.add_auth(request)
    else:
        signer.add_auth(request)
    sent = {"method": method, "path": request.url[len(f"http://{host}"):], "headers": list(request.headers.items()), "body": b"" if presign else body}
    if bend:
        bend(sent)
    connection = http.client.HTTPConnection("127.0.0.1", platform.http, timeout=120)
    connection.putrequest(sent["method"], sent["path"], skip_host=True, skip_accept_encoding=True)
    for name, value in sent["headers"]:
        connection.putheader(name, value)
    if not any(name.lower() == "content-length" for name, _ in sent["headers"]):
        connection.putheader("Content-Length", str(len(sent["body"])))
    connection.endheaders(sent["body"])
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    try:
        return reply.status, dict(reply.getheaders()), json.loads(text)
    except ValueError:
        return reply.status, dict(reply.getheaders()), {"text": text.decode(errors="replace")}


def code(answer):
    """The exception that an answer carries, without its namespace; "" when it is none."""
    return str(answer[2].get("__type", "")).rsplit("#", 1)[-1] if isinstance(answer[2], dict) else ""


def conforms(shape, value, path=""):
    """What of a raw JSON value the SDK's model does not allow: missing members, unknown ones, other types, other words."""
    wrong = []
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            return [f"{path}: expected an object, found {value!r}"]
        wrong += [f"{path}.{name}: missing" for name in shape.required_members if value.get(name) is None]
        wrong += [f"{path}.{name}: not in the model" for name in value if name not in shape.members]
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            wrong.append(f"{path}: {len(value)} members of a union")
        for name, item in value.items():
            if name in shape.members:
                wrong += conforms(shape.members[name], item, f"{path}.{name}")
    elif kind == "list":
        if not isinstance(value, list):
            return [f"{path}: expected a list, found {value!r}"]
        for i, item in enumerate(value):
            wrong += conforms(shape.member, item, f"{path}[{i}]")
    elif kind == "map":
        if not isinstance(value, dict):
            return [f"{path}: expected an object, found {value!r}"]
        for name, item in value.items():
            wrong += conforms(shape.value, item, f"{path}.{name}")
    elif kind == "boolean":
        wrong += [] if isinstance(value, bool) else [f"{path}: {value!r} is no boolean"]
    elif kind in ("integer", "long"):
        wrong += [] if isinstance(value, int) and not isinstance(value, bool) else [f"{path}: {value!r} is no whole number"]
    elif kind in ("double", "float", "timestamp"):
        wrong += [] if isinstance(value, (int, float)) and not isinstance(value, bool) else [f"{path}: {value!r} is no number"]
    else:
        wrong += [] if isinstance(value, str) else [f"{path}: {value!r} is no text"]
        if getattr(shape, "enum", None) and value not in shape.enum:
            wrong.append(f"{path}: {value!r} is none of {shape.enum}")
    return wrong
