// Fails when what a tablet has to load is larger than it may be, or when the build holds what the
// box's Content-Security-Policy forbids.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const MOST = 150 * 1024;
const dist = fileURLToPath(new URL("../dist/", import.meta.url));

let whole = 0;
for (const name of readdirSync(dist, { recursive: true })) {
  if (!/\.(js|css)$/.test(name)) continue;
  const bytes = readFileSync(join(dist, name));
  const packed = gzipSync(bytes, { level: 9 }).length;
  whole += packed;
  console.log(`${name}: ${bytes.length} bytes, ${packed} gzipped`);
  if (/url\(\s*["']?data:/.test(bytes.toString("utf8"))) throw new Error(`${name} holds a data: URI`);
}
console.log(`scripts and styles: ${whole} of ${MOST} bytes gzipped`);
if (whole === 0) throw new Error(`no script in ${dist}`);
if (whole > MOST) throw new Error("larger than a tablet on a mobile network should have to load");

const html = readFileSync(join(dist, "index.html"), "utf8");
if (/<script(?![^>]*\bsrc=)/.test(html)) throw new Error("index.html holds an inline script");
if (/<style|\sstyle=|data:/.test(html)) throw new Error("index.html holds an inline style or a data: URI");
if (/https?:\/\//.test(html)) throw new Error("index.html names another host");
