#!/usr/bin/env python3
"""Everything that follows from src/api/operations.json, made from it and from nothing else.

  tools/generate_api.py --typescript portal/src/api/types.ts

The TypeScript half lives in typescript() alone, so that other outputs (dispatch table, OpenAPI, access tests) can be
added beside it without touching it. Python's standard library only.
"""
import argparse
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent / "src" / "api" / "operations.json"


# ---------------------------------------------------------------------------------------------- TypeScript
def typescript(doc):
    """One .ts text: an interface per schema, the operations with their types, the layout of the live frames."""

    def type_of(schema):
        if schema is None:
            return "undefined"
        if "$ref" in schema:
            return schema["$ref"]
        if "enum" in schema:
            return " | ".join(json.dumps(v) for v in schema["enum"])
        kind = schema.get("type")
        if kind == "array":
            inner = type_of(schema["items"])
            if schema.get("minItems") == schema.get("maxItems") and 0 < schema.get("minItems", 0) <= 8:
                return "[" + ", ".join([inner] * schema["minItems"]) + "]"
            return f"({inner})[]" if "|" in inner else f"{inner}[]"
        return {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}[kind]

    def note(text):
        text = (text or "").replace("*/", "* /")
        return f"  /** {text} */\n" if text else ""

    out = ["// Made by tools/generate_api.py --typescript from src/api/operations.json. Do not edit.\n"]
    for name, schema in doc["schemas"].items():
        required = set(schema.get("required", []))
        properties = schema.get("properties", {})
        if not properties:
            out.append(f"export type {name} = Record<string, never>\n")
            continue
        lines = [f"export interface {name} {{\n"]
        for key, value in properties.items():
            lines.append(note(value.get("description")))
            lines.append(f"  {key}{'' if key in required else '?'}: {type_of(value)}\n")
        lines.append("}\n")
        out.append("".join(lines))

    lines = ["export interface Operations {\n"]
    for op in doc["operations"]:
        params = re.findall(r"{(\w+)}", op["path"])
        path = "{ " + "; ".join(f"{p}: string | number" for p in params) + " }" if params else "undefined"
        query = "undefined"
        if op["query"]:
            query = "{ " + "; ".join(f"{q['name']}{'' if q['required'] else '?'}: {type_of(q)}" for q in op["query"]) + " }"
        lines.append(note(op["summary"]))
        lines.append(f"  {op['id']}: {{ path: {path}; query: {query}; body: {op['body'] or 'undefined'}; "
                     f"reply: {op['reply'] or 'undefined'} }}\n")
    lines.append("}\n")
    out.append("".join(lines))

    lines = ["export const operations = {\n"]
    for op in doc["operations"]:
        lines.append(f"  {op['id']}: {{ method: {json.dumps(op['method'])}, path: {json.dumps(op['path'])}, "
                     f"permission: {json.dumps(op['permission'])} }},\n")
    lines.append("} as const\n")
    out.append("".join(lines))

    live = doc["live"]
    header = {name.split(" ")[0].rstrip(":"): int(offset) for offset, _, name in live["frame_header"]}
    out.append("/** Sizes in bytes of the live stream's binary frames. */\n"
               "export const live = {\n"
               f"  header: {max(header.values()) + 8},\n"
               f"  fleetRecord: {live['fleet_record_bytes']},\n"
               f"  valueRecord: {live['value_record_bytes']},\n"
               "  valueHeaderExtra: 4,\n"
               "  protocol: \"motorcade.live.v1\",\n"
               "} as const\n")
    return "\n".join(out)


# ---------------------------------------------------------------------------------------------- command line
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, default=SOURCE, help="operations.json")
    parser.add_argument("--typescript", type=pathlib.Path, help="write the portal's types here")
    args = parser.parse_args()
    doc = json.loads(args.source.read_text(encoding="utf-8"))
    if not args.typescript:
        parser.error("nothing to write: give --typescript FILE")
    args.typescript.parent.mkdir(parents=True, exist_ok=True)
    args.typescript.write_text(typescript(doc), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
