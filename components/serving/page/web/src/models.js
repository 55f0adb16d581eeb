// Where models come from: the file itself, or the studio's server.

import { embedded } from "./bytes.js";
import { Engine } from "./engine.js";
import { Neighbours } from "./neighbours.js";

/**
 * An opened model.
 * @typedef {{engine: Engine, metrics: object, size: number, name: string, neighbours?: Neighbours}} Opened
 */

/** The one model that the file carries. */
export class OwnModel {
  versions = [];
  #page;
  #parts;

  constructor(page, parts) {
    this.#page = page;
    this.#parts = parts;
  }

  /** @returns {Promise<Opened>} */
  async open() {
    const { description, metrics } = this.#page;
    const model = await embedded("model");
    const size = model.length;
    const engine = await Engine.open({ ...this.#parts, model, description });
    const neighbours = this.#page.neighbours && (await Neighbours.open(this.#page.neighbours));
    return { engine, metrics, size, name: "", neighbours };
  }
}

/** The versions of a serving folder, whose models are fetched when they are shown. */
export class Versions {
  #opened = new Map();
  #parts;

  static async ask(parts) {
    const found = new Versions();
    found.#parts = parts;
    found.versions = await (await fetched("versions")).json();
    if (!found.versions.length) throw new Error("The serving folder has no version yet.");
    return found;
  }

  /** Those that can be shown. */
  get good() {
    return this.versions.filter(({ problem }) => !problem);
  }

  /** Opens a version, by default and instead of one that is not there the newest. */
  async open(version) {
    const { good } = this;
    if (!good.length) throw new Error(`No version can be shown: ${this.versions.at(-1).problem}`);
    const found = good.find((each) => each.version === version) ?? good.at(-1);
    if (!this.#opened.has(found.version)) {
      const opening = this.#fetch(found);
      this.#opened.set(found.version, opening);
      // What failed may be tried again.
      opening.catch(() => this.#opened.delete(found.version));
    }
    return this.#opened.get(found.version);
  }

  /** Closes all but these versions: each holds its weights and a runtime. */
  keep(versions) {
    for (const [version, opening] of this.#opened) {
      if (versions.includes(version)) continue;
      this.#opened.delete(version);
      opening.then(({ engine }) => engine.close(), () => {});
    }
  }

  async #fetch({ version, description, metrics }) {
    const answer = await fetched(`versions/${version}/model.onnx`);
    const model = new Uint8Array(await answer.arrayBuffer());
    const size = model.length;
    const engine = await Engine.open({ ...this.#parts, model, description });
    return { engine, metrics, size, name: version };
  }
}

/** In words; versions are seconds since 1970 unless somebody numbers them otherwise. */
export function versionName(version) {
  const seconds = Number(version);
  if (seconds < 1e9 || seconds > 1e10) return `Version ${version}`;
  const date = new Date(1000 * seconds).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  return `${version} (${date})`;
}

async function fetched(path) {
  let answer;
  try {
    answer = await fetch(path);
  } catch {
    throw new Error("The studio's server does not answer. Is tfx-gan studio still running?");
  }
  if (answer.ok) return answer;
  const reason = await answer.json().then(({ error }) => error, () => answer.statusText);
  throw new Error(reason);
}
