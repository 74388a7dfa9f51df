#!/usr/bin/env python3
"""Lists of vehicles from files, through the command line, to a running motorcade: what is created, which rows are refused and where, the
same list again, and what is there after kill -9."""
import json

from platform_under_test import Platform, Tap

tap = Tap()
platform = Platform().start()


def create(path, *more):
    return platform.command("vehicle", "create", "--file", str(path), *more, check=False)


def test_table():
    table = platform.base / "list.csv"
    table.write_bytes("Name;VIN;Make;Year\ncar-1;1HGCM82633A004352;Acme;2024\ncar 2;;;\ncar-3;short;;\ncar-4;;;soon\ncar-5;1HGCM82633A004352;;\ncar-6;;Ähre;2020\n".encode("latin-1"))
    done = create(table)
    tap.equal(done.returncode, 1, "a list with refused rows ends with 1")
    tap.holds(done.stdout, "2 created, 0 there already, 4 refused", "the summary counts")
    for line, part in ((3, "name:"), (4, "vin:"), (5, 'year: "soon"'), (6, 'vin: vehicle "car-1" of the same list')):
        tap.holds(done.stderr, f"{table}:{line}: {part}", f"line {line} is told")
    makes = {v["name"]: v["make"] for v in platform.api_all("/api/v1/vehicles")}
    tap.equal(makes, {"car-1": "Acme", "car-6": "Ähre"}, "what fits is there, whatever the file's encoding")
    result = json.loads(create(table, "--json").stdout)
    tap.equal((result["created"], result["unchanged"], result["refused"]), (0, 2, 4), "the same list again changes nothing")
    tap.equal([i["line"] for i in result["items"]], [2, 3, 4, 5, 6, 7], "each row has its line")


def test_many():
    many = platform.base / "many.json"
    many.write_text(json.dumps([{"name": f"many-{i}", "make": "Acme"} for i in range(2500)]))
    done = create(many)
    tap.equal(done.returncode, 0, "a list without mistakes ends with 0")
    tap.holds(done.stdout, "2500 created", "more than one request's worth is sent")
    platform.kill()
    platform.start()
    tap.equal(len(platform.api_all("/api/v1/vehicles")), 2502, "all are there after kill -9")
    tap.holds(create(many).stdout, "0 created, 2500 there already, 0 refused", "and known")


def test_mistakes():
    for name, content, part in (("none.csv", None, "No such file"), ("columns.csv", "name,colour\na,red\n", 'column 2 is called "colour"'), ("half.json", '[{"name":"a"}', "line 1")):
        path = platform.base / name
        if content is not None:
            path.write_text(content)
        done = create(path)
        tap.ok(done.returncode == 1 and part in done.stderr and name in done.stderr, f"{name} is refused with its place", done.stderr)
    done = platform.command("vehicle", "create", "car-9", "--file", str(platform.base / "list.csv"), check=False)
    tap.equal(done.returncode, 2, "a name and a file at once are a mistake")


for part in (test_table, test_many, test_mistakes):
    tap.guard(part.__name__, part)
platform.close()
tap.done()
