#!/usr/bin/env python3
"""Style that a machine can see: tabs, trailing blanks, over-long lines and files, file names for nothing,
missing module READMEs and tests. clang-format's own layout is not enforced: tables stay as drawn."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTHING = re.compile(r"^(utils?|helpers?|common|manager|misc)\b", re.I)
ASKS = re.compile(r"PEM_read_bio_\w+\([^;]*NULL, NULL\)")  # OpenSSL then asks for a pass phrase on the terminal, and waits
MAX_LINE = 200
MAX_FILE = 700


def main():
    wrong = []
    sources = [p for top in ("src", "tests", "bench") for p in sorted((ROOT / top).rglob("*.[ch]"))]
    for path in sources:
        name = path.relative_to(ROOT)
        text = path.read_text(errors="replace")
        if NOTHING.match(path.stem):
            wrong.append(f"{name}: a file is named for what lives in it")
        if path.suffix == ".c" and name.parts[0] == "src" and text.count("\n") > MAX_FILE:
            wrong.append(f"{name}: {text.count(chr(10))} lines; split it at {MAX_FILE}")
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line:
                wrong.append(f"{name}:{number}: tab")
            if line != line.rstrip():
                wrong.append(f"{name}:{number}: blank at the end")
            if name.parts[0] == "src" and ASKS.search(line):
                wrong.append(f"{name}:{number}: asks for a pass phrase: give mc_pem_no_pass_phrase")
            if len(line) > MAX_LINE:
                wrong.append(f"{name}:{number}: {len(line)} characters")
    for folder in sorted((ROOT / "src").iterdir()):
        if not folder.is_dir() or not any(folder.rglob("*.c")):
            continue
        if not (folder / "README.md").exists():
            wrong.append(f"src/{folder.name}: no README.md")
        if folder.name != "app" and not list((ROOT / "tests" / folder.name).glob("test_*")):
            wrong.append(f"tests/{folder.name}: no tests")
    for line in wrong:
        print(line)
    print(f"format: {len(sources)} files, {len(wrong)} wrong")
    return 1 if wrong else 0


sys.exit(main())
