"""The schemas as Python's jsonschema reads them; `make validate` runs it after check.mjs, which says what must hold."""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator

CONTRACT = Path(__file__).resolve().parent.parent


def read(path):
    return json.loads(path.read_text("utf-8"))


def faults(validator, value):
    return [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(value)]


def main():
    schemas = {path.stem: read(path) for path in sorted((CONTRACT / "schema").glob("*.json")) if path.stem != "asyncapi"}
    checker = Draft202012Validator.FORMAT_CHECKER
    # Without its packages the checker passes over a format.
    if missing := {"date-time", "uuid"} - set(checker.checkers):
        sys.exit(f"check.py: jsonschema does not check {missing}: install requirements.txt")
    validators = {}
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        validators[name] = Draft202012Validator(schema, format_checker=checker)
    wrong, examples, seen = [], 0, set()
    folder = CONTRACT / "golden"
    for path in sorted([*folder.glob("*.json"), *folder.glob("requests/*.json")]):
        name = next((name for name in schemas if path.stem == name or path.stem.startswith(f"{name}-")), None)
        if name is None:
            wrong.append(f"{path.name} begins with the name of no schema")
            continue
        value = read(path)
        wrong += [f"{path.name}: {fault}" for fault in faults(validators[name], value)]
        for field in schemas[name]["required"]:
            rest = {key: kept for key, kept in value.items() if key != field}
            if not faults(validators[name], rest):
                wrong.append(f"{name}.json takes {path.name} without {field}")
        if name == "list-chunk":
            wrong += [f"{path.name}: edition: {fault}" for fault in faults(validators["edition"], json.loads(value["edition"]))]
            seen.add("edition")
        seen.add(name)
        examples += 1
    wrong += [f"{name}.json has no example" for name in schemas.keys() - seen]
    if wrong:
        sys.exit("check.py: " + "\ncheck.py: ".join(wrong))
    print(f"validators: {len(schemas)} schemas and {examples} examples by jsonschema")


if __name__ == "__main__":
    main()
