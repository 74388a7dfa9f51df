#!/usr/bin/env python3
"""Proves the house on every #include: a module may include only modules on lower floors, and of another
module only its public header (base and format are sets of independent pieces: each of their headers is public).
The floors are read from cmake/modules.cmake, the one place that states them."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PIECES = {"base", "format"}  # every header is public


def floors():
    text = (ROOT / "cmake/modules.cmake").read_text()
    found = {}
    for name, floor, rest in re.findall(r"^mc_module\((\w+) FLOOR (\d+)([^)]*)\)", text, re.M):
        uses = re.search(r"USES ([a-z ]+)", rest)
        found[name] = (int(floor), set(uses.group(1).split()) if uses else set())
    return found


def main():
    table = floors()
    wrong = []
    files = 0
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        module = path.relative_to(ROOT / "src").parts[0]
        if module == "app":
            continue  # the top floor may use everything
        if module not in table:
            wrong.append(f"{path.relative_to(ROOT)}: module {module} is not in cmake/modules.cmake")
            continue
        files += 1
        floor, uses = table[module]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            parts = match.group(1).split("/")
            where = f"{path.relative_to(ROOT)}:{number}"
            if len(parts) < 2:
                if not (path.parent / parts[0]).exists():
                    continue  # generated, in the build folder
                wrong.append(f'{where}: include by module: "{module}/{parts[0]}"')
                continue
            other = parts[0]
            if other == module or other not in table:
                continue
            if table[other][0] >= floor:
                wrong.append(f"{where}: {module} (floor {floor}) includes {other} (floor {table[other][0]}): only lower floors")
            elif other not in uses:
                wrong.append(f"{where}: {module} includes {other}, but its mc_module line does not name it under USES")
            elif other not in PIECES and parts[1] != f"{other}.h":
                wrong.append(f"{where}: {match.group(1)} is private to {other}; include {other}/{other}.h")
    for line in wrong:
        print(line)
    print(f"layering: {files} files, {len(table)} modules, {len(wrong)} wrong")
    return 1 if wrong else 0


sys.exit(main())
