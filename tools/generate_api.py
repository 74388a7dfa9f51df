#!/usr/bin/env python3
"""Everything that follows from src/api/operations.json, made from it and from nothing else.

  tools/generate_api.py --typescript portal/src/api/types.ts
  tools/generate_api.py --check portal/src/api/types.ts   (fails when the file is not what --typescript would write)
  tools/generate_api.py --c build/generated/api    (operations_gen.h, operations_gen.c: dispatch table, schemas, OpenAPI text)
  tools/generate_api.py --openapi openapi.json

Python's standard library only.
"""
import argparse
import difflib
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
            out.append(f"export type {name} = Record<string, {'unknown' if schema.get('additionalProperties') is True else 'never'}>\n")
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


# ---------------------------------------------------------------------------------------------- OpenAPI
def openapi(doc):
    """The OpenAPI 3.1 document as a Python value."""

    def schema_of(schema):
        if "$ref" in schema:
            out = {"$ref": "#/components/schemas/" + schema["$ref"]}
            if schema.get("description"):
                out["description"] = schema["description"]
            return out
        out = {k: v for k, v in schema.items() if k not in ("properties", "items", "name", "required") and v != ""}
        if "items" in schema:
            out["items"] = schema_of(schema["items"])
        if "properties" in schema:
            out["properties"] = {k: schema_of(v) for k, v in schema["properties"].items()}
            if schema.get("required"):
                out["required"] = schema["required"]
        return out

    def problem(text):
        return {"description": text, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}

    paths = {}
    for op in doc["operations"]:
        parameters = [{"name": p, "in": "path", "required": True, "schema": {"type": "string"}} for p in re.findall(r"{(\w+)}", op["path"])]
        for q in op["query"]:
            parameters.append({"name": q["name"], "in": "query", "required": q["required"], "description": q.get("description", ""),
                               "schema": schema_of({k: v for k, v in q.items() if k != "description"})})
        if op["method"] == "POST" and op["status"] == 201:
            parameters.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 128},
                               "description": "the same key within 24 h gives the first answer again instead of a second object"})
        reply = {"description": op["summary"]}
        if op["reply"]:
            reply["content"] = {"application/json": {"schema": {"$ref": "#/components/schemas/" + op["reply"]}}}
        entry = {"operationId": op["id"], "summary": op["summary"], "parameters": parameters,
                 "responses": {str(op["status"]): reply, "default": problem("A problem, with what to do about it")}}
        if op["kind"] == "websocket":
            entry["responses"] = {"101": {"description": op["summary"]}, "default": problem("A problem")}
        if op["body"]:
            entry["requestBody"] = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/" + op["body"]}}}}
        if op["permission"] == "public":
            entry["security"] = []
        else:
            entry["x-permission"] = op["permission"]
        paths.setdefault(op["path"], {})[op["method"].lower()] = entry
    return {
        "openapi": "3.1.0",
        "info": {"title": doc["title"], "version": doc["version"], "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": {name: schema_of(schema) for name, schema in doc["schemas"].items()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "mc_session",
                            "description": "changes also need the header X-CSRF-Token with the value of Me.csrf"},
            },
        },
        "x-live": doc["live"],
    }


# ---------------------------------------------------------------------------------------------- C
def check(doc):
    """What the C side relies on; a mistake stops the build with its place."""
    seen = set()
    for op in doc["operations"]:
        where = "operation " + op["id"]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", op["id"]) or op["id"] in seen:
            sys.exit(f"{where}: ids are unique and like vehicle_list")
        seen.add(op["id"])
        if not op.get("permission"):
            sys.exit(f"{where}: names no permission; say \"public\" when it needs none")
        if op["permission"] != "public" and not re.fullmatch(r"[a-z]+:(read|write)", op["permission"]):
            sys.exit(f"{where}: permission {op['permission']!r} is not like vehicle:read")
        if op["body"] and op["body"] not in doc["schemas"] or op["reply"] and op["reply"] not in doc["schemas"]:
            sys.exit(f"{where}: its body or reply is not among the schemas")
        if len(re.findall(r"{\w+}", op["path"])) > 4:
            sys.exit(f"{where}: at most four path parameters")


def mutates(op):
    """A call that changes something is audited; the description may say that an unsafe method only asks."""
    return op.get("mutates", op["method"] not in ("GET", "HEAD"))


def c_header(doc):
    lines = ["/* Made by tools/generate_api.py from src/api/operations.json. Do not edit. */",
             "#ifndef MC_API_OPERATIONS_GEN_H", "#define MC_API_OPERATIONS_GEN_H", "", '#include "api/described.h"', "",
             "typedef enum api_operation_id {"]
    lines += [f"  API_OP_{op['id'].upper()}," for op in doc["operations"]]
    lines += ["  API_OPERATIONS", "} api_operation_id;", ""]
    lines += [f"mc_err api_op_{op['id']}(api_call *c);" for op in doc["operations"] if op["kind"] != "websocket"]
    lines += ["", "#endif", ""]
    return "\n".join(lines)


def c_source(doc):
    quote = json.dumps
    out = ["/* Made by tools/generate_api.py from src/api/operations.json. Do not edit. */",
           '#include "api/operations_gen.h"', ""]
    anonymous = []

    def ref(schema, hint):
        if "$ref" in schema:
            return "&schema_" + schema["$ref"]
        name = f"part_{len(anonymous)}_{hint}"
        anonymous.append(None)
        emit(schema, name)
        return "&" + name

    kinds = {"string": "API_STRING", "integer": "API_INTEGER", "number": "API_NUMBER", "boolean": "API_BOOLEAN", "array": "API_ARRAY",
             "object": "API_OBJECT"}

    def fields(properties, required, name):
        rows = [f"  {{{quote(key)}, {'true' if key in required else 'false'}, {ref(value, key)}}}," for key, value in properties.items()]
        if rows:
            out.append(f"static const api_field {name}[] = {{")
            out.extend(rows)
            out.append("};")
        return name if rows else "NULL", len(rows)

    def linkage(name):
        return "" if name.startswith("schema_") else "static "

    def emit(schema, name):
        parts = [f".type = {kinds[schema['type']]}"]
        if schema["type"] == "object":
            table, count = fields(schema.get("properties", {}), schema.get("required", []), "fields_" + name)
            parts += [f".field = {table}", f".field_count = {count}"]
            if schema.get("additionalProperties") is True:
                parts.append(".open = true")
        if "items" in schema:
            parts.append(f".items = {ref(schema['items'], 'item')}")
        if "enum" in schema:
            out.append(f"static const char *const values_{name}[] = {{{', '.join(quote(v) for v in schema['enum'])}, NULL}};")
            parts.append(f".values = values_{name}")
        if "pattern" in schema:
            parts.append(f".pattern = {quote(schema['pattern'])}")
        if schema.get("format") == "date-time":
            parts.append(".date_time = true")
        for key, member in (("minLength", "min_length"), ("maxLength", "max_length"), ("minItems", "min_items"), ("maxItems", "max_items")):
            if key in schema:
                parts.append(f".{member} = {schema[key]}")
        for key, member in (("minimum", "minimum"), ("maximum", "maximum")):
            if key in schema:
                parts += [f".has_{member} = true", f".{member} = {schema[key]}"]
        out.append(f"{linkage(name)}const api_schema {name} = {{{', '.join(parts)}}};")

    for name in doc["schemas"]:
        out.append(f"extern const api_schema schema_{name};")
    for name, schema in doc["schemas"].items():
        emit(schema, "schema_" + name)
    tables = {}
    for op in doc["operations"]:
        if op["query"]:
            required = [q["name"] for q in op["query"] if q["required"]]
            tables[op["id"]] = fields({q["name"]: {k: v for k, v in q.items() if k not in ("name", "required")} for q in op["query"]}, required,
                                      "query_" + op["id"])
    out.append("const api_operation api_operation_table[] = {")
    for op in doc["operations"]:
        table, count = tables.get(op["id"], ("NULL", 0))
        kind = {"json": "API_JSON", "raw": "API_RAW", "websocket": "API_WEBSOCKET"}[op["kind"]]
        run = "NULL" if op["kind"] == "websocket" else "api_op_" + op["id"]
        body = f"&schema_{op['body']}" if op["body"] else "NULL"
        reply = f"&schema_{op['reply']}" if op["reply"] else "NULL"
        out.append(f"  {{{quote(op['id'])}, {quote(op['method'])}, {quote(op['path'])}, {quote(op['permission'])}, {table}, {count}, {body}, {reply}, "
                   f"{op['status']}, {kind}, {str(mutates(op)).lower()}, {str(op.get('secret', False)).lower()}, {run}}},")
    out += ["};", "const size_t api_operation_count = sizeof api_operation_table / sizeof api_operation_table[0];", ""]
    text = json.dumps(openapi(doc), ensure_ascii=False, separators=(",", ":")).encode()
    out.append("const char api_openapi[] =")
    for at in range(0, len(text), 96):
        row = "".join(chr(b) if 32 <= b < 127 and b not in (34, 63, 92) else f"\\{b:03o}" for b in text[at:at + 96])
        out.append(f'  "{row}"')
    out += ["  ;", f"const size_t api_openapi_len = {len(text)};", ""]
    return "\n".join(out)


# ---------------------------------------------------------------------------------------------- command line
def replace(path, text):
    """Written only when it changed, so that nothing is built again without need."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def is_fresh(doc, path):
    """False, and says where, when the types at path are not those of the operations."""
    there = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    wanted = typescript(doc).splitlines()
    difference = list(difflib.unified_diff(there, wanted, str(path), "made from src/api/operations.json", lineterm="", n=1))
    for line in difference[:40]:
        print(line)
    print(f"types: {len(wanted)} lines, " + (f"stale: run tools/generate_api.py --typescript {path}" if difference else "fresh"))
    return not difference


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=pathlib.Path, default=SOURCE, help="operations.json")
    parser.add_argument("--typescript", type=pathlib.Path, help="write the portal's types here")
    parser.add_argument("--check", type=pathlib.Path, help="compare the portal's types here with what would be written")
    parser.add_argument("--openapi", type=pathlib.Path, help="write the OpenAPI document here")
    parser.add_argument("--c", type=pathlib.Path, metavar="FOLDER", help="write operations_gen.h and operations_gen.c into this folder")
    args = parser.parse_args()
    doc = json.loads(args.source.read_text(encoding="utf-8"))
    if not (args.typescript or args.check or args.openapi or args.c):
        parser.error("nothing to do: give --typescript FILE, --check FILE, --openapi FILE or --c FOLDER")
    check(doc)
    if args.typescript:
        args.typescript.parent.mkdir(parents=True, exist_ok=True)
        args.typescript.write_text(typescript(doc), encoding="utf-8")
    if args.check and not is_fresh(doc, args.check):
        return 1
    if args.openapi:
        replace(args.openapi, json.dumps(openapi(doc), indent=1, ensure_ascii=False) + "\n")
    if args.c:
        replace(args.c / "operations_gen.h", c_header(doc))
        replace(args.c / "operations_gen.c", c_source(doc))
    return 0


if __name__ == "__main__":
    sys.exit(main())
