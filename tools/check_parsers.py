#!/usr/bin/env python3
"""Holds docs/parsers.md against the tree: every file of src/ that calls a reading primitive stands in its table, with fuzz targets that are there or with
the reason why it needs none; every fuzz target stands in it, and has seeds."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs/parsers.md"
READS = re.compile(
    r"json_load|mc_fs_read\(|mc_cursor_of\(|\brecv(mmsg|from)?\(|mc_stmt_blob\(|\bd2i_|PEM_read|sscanf\(|mc_mqtt_parse\(|mc_ws_read\(|yaml_parser_|"
    r"llhttp_execute|mc_file_pread\(|EVP_DecodeBlock|\bmmap\(|getenv\(|\bfread\(|\bread\(\w*fd"
)


def rows():
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `src/") and len(cells) == 3:
            yield number, cells[0].strip("`"), cells[2]


def main():
    wrong = []
    targets = {f"{p.parent.name}/{p.stem.removeprefix('fuzz_')}" for p in (ROOT / "tests").glob("*/fuzz_*.c")}
    listed, used = set(), set()
    for number, source, cell in rows():
        listed.add(source)
        if not (ROOT / source).exists():
            wrong.append(f"docs/parsers.md:{number}: {source} is not there any more")
        if cell.startswith("none: "):
            continue
        for name in (part.strip() for part in cell.split(",")):
            used.add(name)
            if name not in targets:
                wrong.append(f"docs/parsers.md:{number}: there is no fuzz target {name}")
    for path in sorted((ROOT / "src").rglob("*.c")):
        name = str(path.relative_to(ROOT))
        match = READS.search(path.read_text(errors="replace"))
        if match and name not in listed:
            wrong.append(f"{name}: reads from outside ({match.group(0)}) and is not in docs/parsers.md: name its fuzz target there")
    for name in sorted(targets):
        module, stem = name.split("/")
        seeds = ROOT / "tests" / module / "corpus" / stem
        if name not in used:
            wrong.append(f"tests/{module}/fuzz_{stem}.c: is not in docs/parsers.md: which source does it reach?")
        if not seeds.is_dir() or not any(p.is_file() for p in seeds.iterdir()):
            wrong.append(f"tests/{module}/fuzz_{stem}.c: has no seeds in {seeds.relative_to(ROOT)}")
    for line in wrong:
        print(line)
    print(f"parsers: {len(listed)} sources, {len(targets)} fuzz targets, {len(wrong)} wrong")
    return 1 if wrong else 0


sys.exit(main())
