// The page: unpacks what the file carries, and shows what the state says of it.

import * as about from "./about.js";
import { embedded, embeddedJson } from "./bytes.js";
import { chart } from "./chart.js";
import { $, element, note, problem } from "./dom.js";
import { OwnModel, Versions, versionName } from "./models.js";
import { parse } from "./state.js";
import { View } from "./view.js";

const NEEDED = { WebAssembly: "WebAssembly", DecompressionStream: "DecompressionStream", Worker: "workers" };

let view;
let shows = 0;

async function start() {
  const missing = Object.keys(NEEDED).filter((name) => !(name in window));
  if (missing.length) {
    const names = missing.map((name) => NEEDED[name]).join(", ");
    throw new Error(`This browser lacks ${names}. Any browser since 2024 can open this page.`);
  }
  if (!$("end")) throw new Error("The file is incomplete; get it again.");
  const page = embeddedJson("page");
  progress("Unpacking the network …");
  const [code, runtime] = await Promise.all(["worker", "runtime"].map(embedded));
  const parts = { code, runtime };
  const models = page.studio ? await Versions.ask(parts) : new OwnModel(page, parts);
  progress("Starting the network …");
  about.licences();
  if (page.studio) choices(models);
  await show(models, parse(location.hash));
  performance.mark("first grid");
}

/** Shows the versions that a state names; the only model of a page that has no versions. */
async function show(models, state) {
  const number = ++shows;
  const opened = await models.open(state.version);
  const other = state.other ? await models.open(state.other) : undefined;
  // Somebody may have chosen again.
  if (number !== shows) return;
  problem();
  about.show(opened.engine.description, opened.metrics, opened.size);
  $("loading").hidden = true;
  document.querySelector("main").hidden = false;
  view?.close();
  view = new View(opened, other, (chosen) => {
    note("Loading …");
    show(models, chosen).catch(problem);
  });
  models.keep?.([opened.name, other?.name]);
  await view.ready;
}

/** The studio's own controls. */
function choices(models) {
  const options = (list) => list.map(({ version }) => option(version, versionName(version)));
  const option = (value, textContent) => element("option", { value, textContent });
  const newest = models.good.toReversed();
  $("version").replaceChildren(...options(newest));
  $("other").replaceChildren(option("", "nothing"), ...options(newest));
  $("version-control").hidden = $("other-control").hidden = false;
  const bad = models.versions.filter((each) => each.problem);
  const words = bad.map((each) => `${each.version}: ${each.problem}`);
  $("left-out").hidden = !bad.length;
  $("left-out").textContent = `Not shown: ${words.join("; ")}`;
  chart(models.versions);
}

const progress = (text) => ($("progress").textContent = text);

addEventListener("DOMContentLoaded", () => {
  start().catch((error) => {
    $("loading").hidden = true;
    document.querySelector("main").hidden = true;
    problem(error);
  });
});
