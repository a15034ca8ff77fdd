// The schemas and the AsyncAPI document as others read them: Ajv with its strict defaults, and AsyncAPI's own parser.
// `make validate` runs it with the packages of package-lock.json. Every example must be valid, and none may stay valid
// when something is taken from it: a validator that takes everything proves nothing.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const contract = dirname(dirname(fileURLToPath(import.meta.url)));
// The packages lie in the cache, not beside this file.
const require = createRequire(pathToFileURL(join(process.argv[2] ?? ".", "package.json")));
const Ajv = require("ajv/dist/2020").default;
const addFormats = require("ajv-formats").default;
const { Parser, fromFile } = require("@asyncapi/parser");

const read = (...path) => JSON.parse(readFileSync(join(contract, ...path), "utf8"));
const names = (folder) => readdirSync(join(contract, folder)).filter((name) => name.endsWith(".json")).sort();

// A warning of Ajv about a schema is a fault of the schema.
const complain = (text) => assert.fail(`Ajv says of ${current}: ${text}`);
let current;

function compile(name, schema) {
  current = name;
  const ajv = new Ajv({ allErrors: true, logger: { log: complain, warn: complain, error: complain } });
  addFormats(ajv);
  return ajv.compile(schema);
}

const files = names("schema").filter((name) => name !== "asyncapi.json");
const validators = new Map(files.map((name) => [name, compile(name, read("schema", name))]));
const required = (name) => read("schema", name).required;

// passage-green.json is an example of passage.json, cmd-ping.json of itself.
function schemaOf(example) {
  const found = files.find((name) => example === name || example.startsWith(`${name.slice(0, -".json".length)}-`));
  assert.ok(found, `${example} begins with the name of no schema`);
  return found;
}

let examples = 0;
const seen = new Set();
for (const folder of ["golden", "golden/requests"]) {
  for (const example of names(folder)) {
    const schema = schemaOf(example);
    const validate = validators.get(schema);
    const value = read(folder, example);
    assert.ok(validate(value), `${folder}/${example}: ${JSON.stringify(validate.errors, null, 1)}`);
    for (const field of required(schema)) {
      const { [field]: _, ...rest } = value;
      assert.ok(!validate(rest), `${schema} takes ${example} without ${field}`);
    }
    seen.add(schema);
    examples += 1;
  }
}
// The header of an edition is a text within a piece of a list.
const header = JSON.parse(read("golden/requests", "list-chunk.json").edition);
assert.ok(validators.get("edition.json")(header), JSON.stringify(validators.get("edition.json").errors));
seen.add("edition.json");
assert.deepEqual([...seen].sort(), files, "every schema needs an example");

// AsyncAPI's parser passes over schemas of this form unless it is told how to read them: Ajv says whether it is one.
const schemaParser = {
  getMimeTypes: () => ["application/schema+json;version=2020-12"],
  validate: ({ data }) => {
    compile("a payload of asyncapi.json", data);
    return [];
  },
  parse: ({ data }) => data,
};
const document = join(contract, "schema", "asyncapi.json");
const parser = new Parser({ schemaParsers: [schemaParser] });

async function check(source) {
  const { document, diagnostics } = await source;
  const faults = diagnostics.filter(({ severity }) => severity <= 1);
  return { document, faults };
}

const { document: asyncapi, faults } = await check(fromFile(parser, document).parse());
assert.deepEqual(faults, [], "asyncapi.json");
const payloads = asyncapi.allMessages().all().filter((message) => message.hasPayload());
assert.ok(payloads.length >= 14, `the parser found ${payloads.length} payloads`);
for (const message of payloads) {
  const id = message.payload().json().schema?.$id;
  assert.ok(id?.startsWith("urn:kakou:schema:"), `the payload of ${message.id()} was not resolved`);
}

// The same document with a fault must be found out.
const faulty = [
  (broken) => { broken.operations.receiveHit.action = "listen"; },
  (broken) => { broken.channels.hit.address += "/{unknown}"; },
  (broken) => { broken.operations.receiveHit.bindings.mqtt.qos = 3; },
  (broken) => { broken.components.messages.hit.payload.schema.$ref = "./missing.json"; },
  (broken) => { broken.operations.receiveHit.channel.$ref = "#/channels/missing"; },
];
for (const spoil of faulty) {
  const broken = read("schema", "asyncapi.json");
  spoil(broken);
  const found = await check(parser.parse(JSON.stringify(broken), { source: document }));
  assert.ok(found.faults.length > 0, `the parser takes a document after ${spoil}`);
}

console.log(`validators: ${files.length} schemas and ${examples} examples by Ajv; asyncapi.json by AsyncAPI's parser`);
