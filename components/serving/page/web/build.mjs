// Writes ../built from the sources and the packages of package-lock.json: `npm ci && npm run build`.

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "built");
const packages = join(here, "node_modules");
// Packages that bring no licence, and where theirs is; that of the runtime covers what is in the wasm.
const LICENCES = {
  "onnxruntime-web": join(here, "licenses", "onnxruntime.txt"),
  "onnxruntime-common": join(here, "licenses", "onnxruntime.txt"),
};

async function bundle(name, options) {
  const { outputFiles, metafile } = await build({
    absWorkingDir: here,
    entryPoints: [`src/${name}`],
    bundle: true,
    charset: "utf8",
    format: "iife",
    metafile: true,
    minify: true,
    target: "es2022",
    write: false,
    ...options,
  });
  writeFileSync(join(out, name), outputFiles[0].contents);
  return Object.keys(metafile.inputs).flatMap((path) => path.match(/^node_modules\/([^/]+)/)?.[1] ?? []);
}

function licence(name) {
  const { version } = JSON.parse(readFileSync(join(packages, name, "package.json")));
  const own = readdirSync(join(packages, name)).find((file) => /^licen[cs]e/i.test(file));
  const text = readFileSync(own ? join(packages, name, own) : LICENCES[name], "utf8");
  return { title: `${name} ${version}`, text: text.trim() };
}

mkdirSync(out, { recursive: true });
const used = [
  await bundle("app.js"),
  // A classic worker has no import.meta, and needs none: it is given the wasm.
  await bundle("worker.js", { define: { "import.meta.url": "self.location.href" } }),
  await bundle("page.css"),
].flat();
const texts = new Map();
for (const name of [...new Set(used)].sort()) {
  const { title, text } = licence(name);
  texts.set(text, [...(texts.get(text) ?? []), title]);
}
const licences = [...texts].map(([text, titles]) => `${titles.join(", ")}\n\n${text}\n`);
// The longest last.
licences.sort((one, other) => one.length - other.length);
const compressed = {
  "licences.txt.gz": Buffer.from(licences.join(`\n${"=".repeat(72)}\n\n`)),
  "runtime.wasm.gz": readFileSync(join(packages, "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm")),
};
for (const [name, content] of Object.entries(compressed)) {
  writeFileSync(join(out, name), gzipSync(content, { level: 9 }));
}
