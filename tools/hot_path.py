#!/usr/bin/env python3
"""Instructions a message on the way from PUBLISH to PUBACK and to a subscriber, and a policy decision, counted by valgrind: a slower path is seen without a clock.

  tools/hot_path.py           compares with tests/gateway/hot_path.baseline, as TAP; fails where a stage needs more than 5 % above it
  tools/hot_path.py --print   prints what a new baseline would be; put it there with the change that explains it

The programs (tests/gateway/hot_path.c, tests/access/policy_path.c) are run with few and with many messages; the difference, divided by the messages between, leaves start and end out.
Counts are those of one compiler: the baseline names it, and another one is skipped, as is a processor without the instructions that it names."""
import argparse
import pathlib
import platform
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = {"publish": "gateway_hot_path", "deliver": "gateway_hot_path", "decide": "access_policy_path"}
BASELINE = ROOT / "tests/gateway/hot_path.baseline"
FEW, MANY = 2000, 12000
TOLERANCE = 1.05
SLACK = 3  # instructions: what an odd group more or less costs a small stage

# stage, way, functions whose instructions (with all they call) count, functions inside them that are stages of their own
STAGES = [
    ("parse", "publish", ["mc_mqtt_peek", "mc_mqtt_parse"], []),
    ("policy", "publish", ["mc_publish_take"], ["mc_journal_append"]),
    ("stage", "publish", ["mc_journal_append"], []),
    ("commit", "publish", ["mc_committer_run"], []),
    ("puback", "publish", ["mc_commit_arrived"], []),
    ("loop", "publish", ["mc_loop_turn"], []),
    ("deliver", "deliver", ["mc_deliver"], []),
    ("acked", "deliver", ["mc_deliver_acked"], []),
    ("loop-with-subscriber", "deliver", ["mc_loop_turn"], []),
    ("decision", "decide", ["mc_policy_permits"], []),
]


def inclusive(path):
    """Instructions by function, callees included, of a callgrind file with uncompressed names."""
    cost, function, called = {}, None, False
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("fn="):
            function = line[3:]
        elif line.startswith("calls="):
            called = True
        elif line[:1].isdigit() or line[:1] in "+-*":
            parts = line.split()
            if function and len(parts) >= 2:
                cost[function] = cost.get(function, 0) + int(parts[1])
            called = False
    assert not called
    return cost


def count(way, messages):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind"
        done = subprocess.run(["valgrind", "--tool=callgrind", "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}", str(ROOT / "build/tests" / PROGRAM[way]),
                               str(messages), way], capture_output=True, text=True, errors="replace", timeout=300)
        if done.returncode or not out.exists():
            sys.exit(f"hot path: {way} with {messages} messages failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return inclusive(out)


def measure():
    measured = {}
    for way in PROGRAM:
        few, many = count(way, FEW), count(way, MANY)
        each = {name: (many[name] - few.get(name, 0)) / (MANY - FEW) for name in many}
        for stage, of, functions, without in STAGES:
            missing = [f for f in functions + without if f not in each]
            if of == way and missing:
                sys.exit(f"hot path: {', '.join(missing)} was not called: the stage {stage} must be described anew")
            if of == way:
                measured[stage] = sum(each[f] for f in functions) - sum(each[f] for f in without)
    return measured


def compiler():
    line = subprocess.run(["cc", "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    return f"{platform.machine()} {line}"


def read_baseline():
    text = [line.split(None, 1) for line in BASELINE.read_text().splitlines() if line and not line.startswith("#")]
    baseline = {key: value.strip() for key, value in text}
    return baseline.pop("compiler"), {stage: float(value) for stage, value in baseline.items()}


def show(measured):
    print("# Instructions a message by stage; made by tools/hot_path.py --print, which says what is counted.")
    print(f"compiler {compiler()}")
    for stage, *_ in STAGES:
        print(f"{stage} {measured[stage]:.1f}")


def skip(why):
    print(f"ok 1 - hot path # SKIP {why}\n1..1")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print a new baseline")
    options = parser.parse_args()
    if subprocess.run(["sh", "-c", "command -v valgrind"], capture_output=True).returncode:
        return skip("valgrind is not installed (Debian: valgrind)")
    made_with, baseline = (None, {}) if options.print else read_baseline()
    if not options.print and compiler() != made_with:
        return skip(f"the baseline is for {made_with}, this is {compiler()}")
    if not (ROOT / "build/build.ninja").exists():
        subprocess.run(["make", "--no-print-directory", "programs"], cwd=ROOT, check=True)
    built = subprocess.run(["ninja", "-C", str(ROOT / "build"), *sorted(set(PROGRAM.values()))], capture_output=True, text=True)
    if built.returncode:
        sys.exit(f"hot path: does not build\n{built.stdout[-3000:]}")
    measured = measure()
    if options.print:
        show(measured)
        return 0
    failed = 0
    for number, (stage, *_) in enumerate(STAGES, 1):
        got, want = measured[stage], baseline.get(stage, 0)
        good = got <= want * TOLERANCE + SLACK
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {stage} takes at most 5 % more than {want:.0f} instructions a message: {got:.1f}")
    print(f"1..{len(STAGES)}")
    return 1 if failed else 0


sys.exit(main())
