// What is shown follows from the state alone; controls change the state.

import { number } from "./about.js";
import { Grid } from "./grid.js";
import { $, copy, element, note, problem } from "./dom.js";
import { versionName } from "./models.js";
import { draw } from "./pixels.js";
import { FILM, FILM_FIRST, FRAMES, Samples } from "./samples.js";
import { gif, png, save, video, videoType } from "./save.js";
import { Stage } from "./stage.js";
import { DEFAULTS, IMAGES, SEEDS, format, parse } from "./state.js";

// Images below this many pixels are shown as squares, larger ones smoothed.
const SMALL = 64;
// Browsers allow few changes of the address a second.
const ADDRESS_MILLISECONDS = 300;
const FRAME_MILLISECONDS = 40;
const THEMES = { "": "as the system", light: "light", dark: "dark" };
const WALK = { x: 0, y: 0 };

const caption = ({ name, metrics }) =>
  [versionName(name), metrics.FID && `FID ${number(metrics.FID.value)}`].filter(Boolean).join(", ");

export class View {
  #engine;
  #samples;
  #other;
  #onModels;
  #neighbours;
  #closing = new AbortController();
  #grid;
  #stage;
  #frames = [];
  #end = "to";
  #playing;
  #address;
  #state = parse(location.hash);

  /**
   * Shows an opened model, and beside it the images of another one, if given. `onModels(state)` is
   * called when the reader wants others.
   */
  constructor(opened, other, onModels) {
    const { engine } = opened;
    this.#engine = engine;
    this.#samples = new Samples(engine.description);
    this.#onModels = onModels;
    const { shape } = engine;
    this.#neighbours = opened.neighbours;
    this.#compare(opened, other);
    document.body.classList.toggle("squares", Math.min(shape[0], shape[1]) < SMALL);
    document.body.style.setProperty("--aspect", shape[1] / shape[0]);
    document.body.classList.toggle("alpha", shape[2] % 2 === 0);
    this.#grid = new Grid("grid", shape, (row) => this.#pick(row));
    this.#stage = new Stage(shape, (x, y) => this.set({ x, y }));
    this.#controls();
    this.ready = this.#update({}, this.#state);
    const { signal } = this.#closing;
    addEventListener("hashchange", () => this.set(parse(location.hash)), { signal });
  }

  /** Leaves the page to another view. */
  close() {
    this.#closing.abort();
    this.#stop();
  }

  /** Changes the state by some keys. */
  set(changes) {
    const before = this.#state;
    this.#state = { ...before, ...changes };
    clearTimeout(this.#address);
    const others = ["version", "other"].some((key) => this.#state[key] !== before[key]);
    this.#address = setTimeout(() => this.#link(), ADDRESS_MILLISECONDS);
    if (!others) {
      this.#update(before, this.#state);
      return;
    }
    // The next view reads its state there.
    this.#link();
    this.#onModels(this.#state);
  }

  #link() {
    clearTimeout(this.#address);
    const fragment = format(this.#state);
    history.replaceState(null, "", fragment ? `#${fragment}` : "#");
  }

  /** Draws what the change of the state changes; resolves when the grid is there. */
  async #update(before, state) {
    const changed = (...keys) => keys.some((key) => state[key] !== before[key]);
    this.#show(state);
    try {
      const picked = changed("seed", "class", "truncation", "image", "mode");
      if (state.mode === "walk" && (picked || changed("x", "y", "plane"))) this.#drawPoint();
      if (state.mode === "morph" && (picked || changed("to"))) this.#drawMorph();
      else if (state.mode === "morph") this.#drawFrame();
      if (changed("seed", "class", "truncation")) {
        await Promise.all([this.#drawGrid(), this.#other && this.#drawOther()]);
      }
    } catch (error) {
      problem(error);
    }
  }

  async #drawGrid() {
    const { latents, labels } = this.#samples.grid(this.#state);
    $("grid").ariaBusy = "true";
    const whole = await this.#engine.generate("grid", latents, labels, (row, pixels) => {
      this.#grid.show(row, pixels);
      if (row === this.#state.image) draw($("from-picture"), pixels, this.#engine.shape);
      if (row === this.#state.to) draw($("to-picture"), pixels, this.#engine.shape);
    });
    if (whole) $("grid").ariaBusy = "false";
  }

  async #drawOther() {
    const { engine, samples, grid } = this.#other;
    const { latents, labels } = samples.grid(this.#state);
    $("other-grid").ariaBusy = "true";
    const whole = await engine.generate("other", latents, labels, (row, pixels) => grid.show(row, pixels));
    if (whole) $("other-grid").ariaBusy = "false";
  }

  #compare(opened, other) {
    $("other-figure").hidden = !other;
    $("grid-caption").hidden = !other;
    document.body.classList.toggle("comparing", Boolean(other));
    if (!other) return;
    $("grid-caption").textContent = caption(opened);
    $("other-caption").textContent = caption(other);
    const { engine } = other;
    const grid = new Grid("other-grid", engine.shape);
    this.#other = { engine, grid, samples: new Samples(engine.description) };
  }

  #drawPoint() {
    const { latents, labels } = this.#samples.point(this.#state);
    const show = (_, pixels) => this.#present(pixels);
    this.#engine.generate("point", latents, labels, show).catch(problem);
  }

  #drawMorph() {
    const { latents, labels } = this.#samples.morph(this.#state);
    this.#frames = [];
    for (const name of ["gif", "video"]) $(name).disabled = true;
    const show = (place, pixels) => {
      const frame = FILM_FIRST[place];
      this.#frames[frame] = pixels;
      const shown = $("film").children[FILM.indexOf(frame) - 1];
      if (shown && frame < FRAMES - 1) draw(shown, pixels, this.#engine.shape);
      if (frame === this.#state.at) this.#drawFrame();
    };
    this.#engine.generate("morph", latents, labels, show).then((whole) => {
      for (const name of ["gif", "video"]) $(name).disabled &&= !whole;
    }, problem);
  }

  #drawFrame() {
    const pixels = this.#frames[this.#state.at];
    if (pixels) this.#present(pixels);
  }

  #present(pixels) {
    this.#stage.show(pixels);
    this.#neighbours?.show(pixels, this.#engine.shape);
  }

  #pick(row) {
    if (this.#state.mode === "walk") this.set({ image: row, ...WALK });
    else this.set({ [this.#end]: row, at: this.#end === "to" ? FRAMES - 1 : 0 });
  }

  /** What follows from the state without the network. */
  #show(state) {
    const morph = state.mode === "morph";
    $("seed").value = state.seed;
    $("version").value = state.version || $("version").options[0]?.value;
    $("other").value = state.other;
    $("class").value = this.#samples.labels.includes(state.class) ? state.class : "";
    $("truncation").value = state.truncation;
    $("truncation-value").textContent = state.truncation.toFixed(2);
    $("at").value = state.at;
    for (const radio of document.getElementsByName("mode")) radio.checked = radio.value === state.mode;
    for (const radio of document.getElementsByName("end")) radio.checked = radio.value === this.#end;
    $("walk").hidden = morph;
    $("morph").hidden = !morph;
    $("reset").disabled = !state.x && !state.y;
    this.#stage.locate(morph ? undefined : [state.x, state.y]);
    this.#grid.mark(state.image, morph ? state.to : -1, (row) => this.#name(row));
    for (const [id, row] of [["from-picture", state.image], ["to-picture", state.to]]) {
      if (this.#grid.pixels[row]) draw($(id), this.#grid.pixels[row], this.#engine.shape);
    }
    const picked = this.#picked;
    const label = this.#samples.label(state, picked);
    $("picked-seed").textContent = this.#samples.seed(state, picked);
    for (const id of ["picked-class", "picked-class-term"]) $(id).hidden = label === undefined;
    if (label !== undefined) $("picked-class").textContent = this.#samples.className(label);
    if (!morph) this.#stop();
  }

  /** The image whose seed is shown. */
  get #picked() {
    return this.#state.mode === "morph" ? this.#state[this.#end] : this.#state.image;
  }

  #name(row) {
    const label = this.#samples.label(this.#state, row);
    const words = label === undefined ? "" : `, ${this.#samples.className(label)}`;
    return `Image ${row + 1} of ${IMAGES}${words}, seed ${this.#samples.seed(this.#state, row)}`;
  }

  #controls() {
    const on = (id, event, call) => ($(id)[`on${event}`] = call.bind(this));
    const seed = (value) => {
      const whole = Math.min(SEEDS.high, Math.max(SEEDS.low, Math.round(value)));
      this.set({ seed: Number.isFinite(whole) ? whole : DEFAULTS.seed, ...WALK });
    };
    document.querySelector(".controls").onsubmit = (event) => event.preventDefault();
    on("seed", "change", () => seed($("seed").valueAsNumber));
    on("previous", "click", () => seed(this.#state.seed - 1));
    on("next", "click", () => seed(this.#state.seed + 1));
    on("shuffle", "click", () => seed(crypto.getRandomValues(new Uint16Array(1))[0]));
    on("truncation", "input", () => this.set({ truncation: $("truncation").valueAsNumber }));
    on("class", "change", ({ target }) => this.set({ class: target.value === "" ? null : Number(target.value) }));
    on("version", "change", ({ target }) => this.set({ version: target.value }));
    on("other", "change", ({ target }) => this.set({ other: target.value }));
    on("reset", "click", () => this.set(WALK));
    on("turn", "click", () => this.set({ plane: (this.#state.plane + 1) % 4096 }));
    on("at", "input", () => (this.#stop(), this.set({ at: $("at").valueAsNumber })));
    on("play", "click", () => (this.#playing ? this.#stop() : this.#play()));
    on("copy", "click", () => copy($("picked-seed").textContent, $("picked-seed")));
    on("share", "click", () => {
      const fragment = format(this.#state);
      copy(`${location.href.split("#")[0]}${fragment && "#"}${fragment}`);
    });
    on("png", "click", () => save(png(this.#stage.pixels, this.#stage.shape), "image/png", this.#file("png")));
    on("gif", "click", () => this.#export("gif", async () => gif(this.#frames, this.#engine.shape), "image/gif", "gif"));
    const type = videoType();
    const kind = type?.match(/\w+\/(\w+)/)[1];
    $("video").hidden = !type;
    if (type) {
      $("video").textContent = { mp4: "Save MP4", webm: "Save WebM" }[kind];
      on("video", "click", () => this.#export("video", () => video(this.#frames, this.#engine.shape), type, kind));
    }
    on("theme", "click", () => {
      const names = Object.keys(THEMES);
      const theme = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
      document.documentElement.dataset.theme = theme;
      $("theme").ariaLabel = `Theme: ${THEMES[theme]}`;
      note(`Theme: ${THEMES[theme]}`);
    });
    for (const radio of document.getElementsByName("mode")) {
      radio.onchange = () => this.set({ mode: radio.value });
    }
    for (const radio of document.getElementsByName("end")) {
      radio.onchange = () => ((this.#end = radio.value), this.set({}));
    }
    const { labels } = this.#samples;
    $("class-control").hidden = !labels.length;
    $("class").replaceChildren(
      element("option", { value: "", textContent: "As in the data" }),
      ...labels.map((label) => element("option", { value: label, textContent: this.#samples.className(label) })),
    );
    $("at").max = FRAMES - 1;
    $("film").replaceChildren(...FILM.slice(1, -1).map(() => element("canvas")));
  }

  #play() {
    $("play").ariaLabel = "Pause";
    $("play").textContent = "⏸";
    let step = 1;
    this.#playing = setInterval(() => {
      if (this.#state.at + step < 0 || this.#state.at + step >= FRAMES) step = -step;
      this.set({ at: this.#state.at + step });
    }, FRAME_MILLISECONDS);
  }

  #stop() {
    clearInterval(this.#playing);
    this.#playing = undefined;
    $("play").ariaLabel = "Play";
    $("play").textContent = "▶";
  }

  async #export(id, make, type, ending) {
    const words = $(id).textContent;
    $(id).disabled = true;
    $(id).textContent = "Saving …";
    // The browser paints before it is busy.
    await new Promise((resolve) => setTimeout(resolve, 30));
    try {
      save(await make(), type, this.#file(ending));
    } catch (error) {
      problem(error);
    }
    $(id).textContent = words;
    $(id).disabled = false;
  }

  /** A name that says what is in the file. */
  #file(ending) {
    const { mode, seed, image, to } = this.#state;
    const what = mode === "morph" ? `${image}-${to}` : image;
    return `seed-${seed}-image-${what}.${ending}`;
  }
}
