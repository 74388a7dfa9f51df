#!/usr/bin/env python3
"""Every command of the guide "Move a FleetWise fleet in an afternoon", run as it is written, against an account that another platform plays. Words in front of `motorcade` and `aws`
give them this test's folder, ports and keys. Prints TAP."""
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

from platform_under_test import MOTORCADE, Platform, Tap, free_port, wait_for

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "guides" / "move-a-fleetwise-fleet.md"
ARN = "arn:aws:iotfleetwise:local:000000000000:"
tap = Tap()
there, base = Platform(), None

MOTORCADE_SHIM = """#!/bin/bash
case "$1" in
serve)
  shift
  args=("${@/0.0.0.0/127.0.0.1}")
  "$REAL" serve --data "$DATA" "${args[@]/443/$TLS}" --http-port "$HTTP" --mqtt-port "$MQTT" >"$DATA.log" 2>&1 </dev/null &
  echo $! >"$DATA.pid"
  exit 0 ;;
access-key) "$REAL" "$@" --data "$DATA" | tee "$DATA.keys"; exit "${PIPESTATUS[0]}" ;;
fleetwise) [[ " $* " == *" --account "* ]] && set -- "$@" --endpoint "$ACCOUNT" ;;
esac
exec "$REAL" "$@" --data "$DATA"
"""
AWS_SHIM = """#!/bin/bash
if [[ "$*" == *//127.0.0.1:8080/* ]]; then
  export AWS_ACCESS_KEY_ID=$(sed -n 's/.*aws_access_key_id *= *//p' "$DATA.keys" | head -1) AWS_SECRET_ACCESS_KEY=$(sed -n 's/.*aws_secret_access_key *= *//p' "$DATA.keys" | head -1)
  exec "$REAL_AWS" "${@/127.0.0.1:8080/127.0.0.1:$HTTP}"
fi
exec "$REAL_AWS" --endpoint-url "$ACCOUNT" "$@"
"""


def call(operation, **members):
    return there.api("POST", f"/api/v1/fleetwise/{operation}", members)


def can(name, start, factor):
    return {"fullyQualifiedName": name, "type": "CAN_SIGNAL", "interfaceId": "can0",
            "canSignal": {"messageId": 256, "isBigEndian": False, "isSigned": False, "startBit": start, "offset": 0, "factor": factor, "length": 16}}


def make_account():
    call("CreateSignalCatalog", name="signals", nodes=[{"sensor": {"fullyQualifiedName": f"V.{n}", "dataType": "DOUBLE"}} for n in ("Speed", "Temp")])
    call("CreateModelManifest", name="truck", signalCatalogArn=ARN + "signal-catalog/signals", nodes=["V"])
    call("UpdateModelManifest", name="truck", status="ACTIVE")
    call("CreateDecoderManifest", name="truck-can", modelManifestArn=ARN + "model-manifest/truck", signalDecoders=[can("V.Speed", 0, 0.01), can("V.Temp", 16, 0.1)],
         networkInterfaces=[{"interfaceId": "can0", "type": "CAN_INTERFACE", "canInterface": {"name": "can0"}}])
    call("UpdateDecoderManifest", name="truck-can", status="ACTIVE")
    call("CreateStateTemplate", name="now", signalCatalogArn=ARN + "signal-catalog/signals", stateTemplateProperties=["V.Speed"])
    call("CreateVehicle", vehicleName="truck-1", modelManifestArn=ARN + "model-manifest/truck", decoderManifestArn=ARN + "decoder-manifest/truck-can", attributes={"depot": "north"},
         stateTemplates=[{"identifier": "now", "stateTemplateUpdateStrategy": {"onChange": {}}}])
    call("CreateFleet", fleetId="north", signalCatalogArn=ARN + "signal-catalog/signals")
    call("AssociateVehicleFleet", fleetId="north", vehicleName="truck-1")
    call("CreateCampaign", name="overheating", signalCatalogArn=ARN + "signal-catalog/signals", targetArn=ARN + "fleet/north", signalsToCollect=[{"name": "V.Speed"}],
         collectionScheme={"conditionBasedCollectionScheme": {"expression": "$variable.`V.Temp` > 90", "minimumTriggerIntervalMs": 1000, "triggerMode": "RISING_EDGE"}})


def blocks():
    """(language, file, text) of each fenced block."""
    for words, text in re.findall(r"^```([^\n]*)\n(.*?)^```$", GUIDE.read_text(), re.M | re.S):
        language, _, file = words.strip().partition(" ")
        yield language, file, text


def environment():
    key = there.api("POST", "/api/v1/access-keys", {"name": "guide", "role": "viewer"})
    shims = base / "bin"
    shims.mkdir()
    for name, text in (("motorcade", MOTORCADE_SHIM), ("aws", AWS_SHIM)):
        (shims / name).write_text(text)
        (shims / name).chmod(0o755)
    ports = {name: str(free_port()) for name in ("HTTP", "MQTT", "TLS")}
    return {**os.environ, **ports, "PATH": f"{shims}:{os.environ['PATH']}", "REAL": str(MOTORCADE), "REAL_AWS": shutil.which("aws") or "", "DATA": str(base / "data"),
            "ACCOUNT": f"http://127.0.0.1:{there.http}/aws", "AWS_ACCESS_KEY_ID": key["access_key"]["key_id"], "AWS_SECRET_ACCESS_KEY": key["secret"], "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def guide():
    env, shown = environment(), {}
    (base / "vehicle.dbc").write_text('BO_ 512 Motion: 8 E\n SG_ Speed : 0|16@1+ (0.01,0) [0|300] "km/h" E\n')
    for _, file, text in blocks():
        if file:
            (base / file).write_text(text)
    for language, file, text in blocks():
        title = text.strip().splitlines()[-1][:80]
        if file:
            continue
        if not env["REAL_AWS"] and re.search(r"^(aws|.*\$\(names|names\(\))", text, re.M):
            tap.skip(title, "no program aws in PATH")
            continue
        done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", text], cwd=base, env=env, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        tap.ok(done.returncode == 0, f"as the guide says: {title}", done.stdout, done.stderr)
        shown[title] = done.stdout
        if "motorcade serve" in text:
            wait_for(lambda: subprocess.run([MOTORCADE, "vehicle", "list", "--data", env["DATA"]], capture_output=True).returncode == 0, 30, "the platform of the guide", 0.1)
    return shown


def output(shown, start):
    return next((text for title, text in shown.items() if title.startswith(start)), "")


def arrived(shown):
    made = output(shown, "motorcade fleetwise import --account")
    tap.ok("campaign         1 made" in made and "refused" in made and not re.search(r"[1-9]\d* (different|refused)", made), "the account is made here, nothing is refused", made)
    again = output(shown, "motorcade fleetwise import account")
    if again:
        tap.ok("0 made" in again and not re.search(r"[1-9]\d* (made|different|refused)", again), "what the command line's answers say is there already", again)
    tap.ok("1 added" in output(shown, "motorcade decoder compare"), "the manifests' difference is shown", output(shown, "motorcade decoder compare"))
    tap.ok("no_data" in output(shown, "motorcade campaign try"), "the dry run says that nothing is stored yet", output(shown, "motorcade campaign try"))
    tap.ok("never_checked_in" in output(shown, "motorcade campaign vehicles"), "the campaign waits for the truck", output(shown, "motorcade campaign vehicles"))
    if output(shown, "aws iotfleetwise list-vehicles"):
        tap.ok("truck-1" in output(shown, "aws iotfleetwise list-vehicles"), "AWS's command line sees the truck here")
    key = base / "truck-1" / "key.pem"
    tap.ok(key.exists() and not key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), "the truck has its certificate, and its key is nobody else's")


def main():
    global base
    base = there.base / "guide"
    base.mkdir()
    began = time.monotonic()
    try:
        there.start()
        make_account()
        shown = {}
        tap.guard("the guide", lambda: shown.update(guide()))
        tap.guard("what came of it", arrived, shown)
        tap.note(f"{time.monotonic() - began:.1f} s")
    finally:
        pid = base / "data.pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGKILL)
        there.close()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
