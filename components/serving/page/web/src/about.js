// What is known of the generator, in words.

import { gunzip, fromBase64 } from "./bytes.js";
import { $, element } from "./dom.js";

const KINDS = { 1: "grey", 2: "grey with transparency", 3: "colour", 4: "colour with transparency" };
const MEGABYTE = 1e6;
// Classes that are named.
const NAMED = 20;

/** Fills the section; `metrics` by name: {value, low, high}; `size` of the model in bytes. */
export function show(description, metrics, size) {
  $("metrics").replaceChildren(
    ...Object.entries(metrics ?? {}).map(([name, score]) => metric(name, score)),
  );
  const found = facts(description, size);
  $("facts").replaceChildren(
    ...Object.entries(found).flatMap(([name, value]) => [
      element("dt", { textContent: name }),
      element("dd", { textContent: value }),
    ]),
  );
  $("recipe").hidden = !description.recipe;
  $("recipe").querySelector("pre").textContent = lines(description.recipe ?? {}).join("\n");
}

/** A recipe as lines of YAML, without what is not set. */
function lines(value, indent = "") {
  return Object.entries(value).flatMap(([key, each]) => {
    if (each === null || (typeof each === "object" && !Object.keys(each).length)) return [];
    if (typeof each !== "object") return [`${indent}${key}: ${each}`];
    return [`${indent}${key}:`, ...lines(each, `${indent}  `)];
  });
}

/** The licences, unpacked when they are asked for. */
export function licences() {
  $("licences").ontoggle = async () => {
    $("licences").ontoggle = null;
    const bytes = await gunzip(fromBase64($("licences-data").textContent.trim()));
    $("licences").querySelector("pre").textContent = new TextDecoder().decode(bytes);
  };
}

/** Four digits, as the report's numbers; null is none. */
export function number(value) {
  if (value === null) return "–";
  return Number(value).toLocaleString("en", { maximumSignificantDigits: 4 });
}

function metric(name, { value, low, high }) {
  const shown = element("dd", { textContent: number(value) });
  if (low != null && high != null) {
    shown.append(element("small", { textContent: `95 %: ${number(low)} – ${number(high)}` }));
  }
  return element("div", {}, element("dt", { textContent: name }), shown);
}

function facts(description, size) {
  const [height, width, channels] = description.shape;
  const found = {
    Images: `${width} × ${height}, ${KINDS[channels]}`,
    "Latent vector": `${description.latent_dim} numbers`,
  };
  const shares = description.class_shares;
  if (shares) {
    const names = shares.flatMap((share, label) =>
      share ? [description.class_names?.[label] ?? `class ${label}`] : [],
    );
    const more = names.length - NAMED;
    found.Classes = names.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
  }
  found.Model = `${(size / MEGABYTE).toFixed(1)} MB, run by ONNX Runtime Web in WebAssembly`;
  const versions = Object.entries(description.versions ?? {});
  if (versions.length) found["Made with"] = versions.map((each) => each.join(" ")).join(", ");
  return found;
}
