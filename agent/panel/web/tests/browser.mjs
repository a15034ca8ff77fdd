// The tests in a real browser, against the mock. Names given on the command line choose files.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
if (!existsSync(here("../dist/index.html"))) {
  console.error("there is no dist/index.html: run `npm run build` first");
  process.exit(1);
}
const wanted = process.argv.slice(2);
const files = readdirSync(here("./browser/"))
  .filter((name) => name.endsWith(".test.mjs") && (wanted.length === 0 || wanted.some((w) => name.includes(w))))
  .map((name) => join(here("./browser/"), name));
const run = spawnSync(process.execPath, ["--test", "--test-concurrency=1", ...files], { stdio: "inherit" });
process.exit(run.status ?? 1);
