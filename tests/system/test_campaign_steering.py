#!/usr/bin/env python3
"""What steers a campaign that runs: a cap makes a real agent collect slower, first vehicles come first, a refusal suspends it and says so - seen with the command
line, over a kill -9. Prints TAP."""
import json
import subprocess
import sys

from platform_under_test import EDGE, Platform, Tap, wait_for

tap = Tap()
DBC = 'BO_ 256 ENGINE: 8 E\n SG_ Rpm : 0|16@1+ (0.25,0) [0|16000] "rpm" E\n'
LOG = "".join(f"({1700000000 + i / 20:.6f}) can0 100#{(i * 40) & 255:02X}0A000000000000\n" for i in range(400))
SIGNALS = [{"fqn": "Vehicle.ENGINE.Rpm"}]


def listing(*arguments):
    return json.loads(p.command(*arguments, "--json"))


def form(**more):
    return {"target_kind": "all", "kind": "time", "period_ms": 200, "signals": SIGNALS, **more}


def create(name, **more):
    file = p.base / "c.json"
    file.write_text(json.dumps(form(name=name, start_now=True, **more)))
    p.command("campaign", "create", "--file", str(file))


def shown(name):
    return json.loads(p.command("campaign", "show", name))


def stands(campaign, vehicle):
    return next((i for i in listing("campaign", "vehicles", campaign) if i["name"] == vehicle), {})


def prepare():
    dbc = p.base / "a.dbc"
    dbc.write_text(DBC)
    p.command("catalog", "import", "--dbc", str(dbc), "--name", "model-a")
    for name in ("car-1", "car-2"):
        p.command("vehicle", "create", name, "--manifest", "model-a", "--out", str(p.base / name))
    log, folder = p.base / "bus.log", p.base / "car-1"
    log.write_text(LOG)
    return subprocess.Popen([EDGE, "--endpoint", f"localhost:{p.mqtt}", "--name", "car-1", "--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem"), "--ca",
                             str(folder / "ca.pem"), "--replay", str(log), "--loop", "--checkin-s", "1", "--log-level", "error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def everything():
    create("capped")
    create("staged", rollout={"vehicles": ["car-1"], "hold_s": 3600, "by_itself": True})
    create("refused", kind="condition", expression="custom_function('their_own', $variable.`Vehicle.ENGINE.Rpm`) > 1", rollout={"vehicles": ["car-1"]})
    tap.equal(stands("staged", "car-2").get("reason"), "waits_for_first", "who is none of the first waits")
    p.api("PUT", f"/api/v1/campaigns/{shown('staged')['id']}", form(rollout={"vehicles": ["car-1"], "hold_s": 0, "by_itself": True}))
    reply = json.loads(p.command("campaign", "caps", "capped", "--vehicle-messages", "10"))
    tap.equal(reply["caps"], {"vehicle": {"messages": 10}}, "a cap is set by the command line")
    wait_for(lambda: stands("capped", "car-1").get("reason") == "slowed", 30, "the cap to slow it", 0.2)
    tap.ok("64 times slower" in stands("capped", "car-1")["text"] and stands("capped", "car-1")["slower"] == 64, "at its cap the agent has a slower document, and the reason is told")
    cost = listing("campaign", "cost", "capped")
    tap.ok(cost["messages"] >= 10 and cost["vehicles"][0]["slower"] == 64, "what it came to says so, too", cost)
    wait_for(lambda: shown("staged")["phase"] == "rest", 30, "the roll-out to go on", 0.2)
    tap.equal(stands("staged", "car-2").get("reason"), "never_checked_in", "when the first do well it goes on to the rest")
    wait_for(lambda: shown("refused")["status"] == "suspended", 30, "the refusal to suspend it", 0.2)
    reason = shown("refused")["stopped"]
    tap.ok("1 of 1 vehicles refused its document" in reason, "what vehicles refuse suspends itself", reason)
    tap.ok(reason in p.command("campaign", "rollout", "refused"), "the command line tells why")
    audit = p.command("journal", "tail", "--stream", "audit", "--limit", "50")
    tap.ok("campaign_suspend" in audit and "campaign_rollout" in audit, "both stand in the audit chain", audit)
    p.kill()
    p.start()
    tap.equal((stands("capped", "car-1").get("slower"), shown("staged")["phase"], shown("refused")["stopped"]), (64, "rest", reason), "all of it outlives kill -9")
    wait_for(lambda: listing("campaign", "cost", "capped")["messages"] >= cost["messages"], 30, "the messages to be counted", 0.2)
    tap.ok(True, "and what was counted stays counted")
    p.command("campaign", "caps", "capped")
    wait_for(lambda: stands("capped", "car-1").get("reason") == "confirmed", 30, "the document as written", 0.2)
    tap.ok("slower" not in stands("capped", "car-1"), "without its cap it goes as it is written")


p, agent = Platform(), None
try:
    p.start()
    agent = prepare()
    tap.guard("everything", everything)
finally:
    if agent:
        agent.kill()
        agent.wait()
    p.close()
tap.done()
sys.exit(0)
