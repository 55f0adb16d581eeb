// The picked image, large. Where its plane can be walked, by pointer and by arrow keys.

import { $ } from "./dom.js";
import { draw } from "./pixels.js";

// Of a drag across the whole image, and of an arrow key.
const ACROSS = 2.4;
const STEP = 0.1;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export class Stage {
  #place = [0, 0];
  #onMove;
  #held;

  /** `onMove(x, y)` is called with where the reader goes, in radians; (0, 0) is the sample. */
  constructor(shape, onMove) {
    this.shape = shape;
    this.#onMove = onMove;
    const stage = $("stage");
    stage.onpointerdown = (event) => {
      if (!this.walkable || event.button) return;
      stage.setPointerCapture(event.pointerId);
      this.#held = { at: [event.clientX, event.clientY], from: this.#place };
    };
    stage.onpointermove = (event) => {
      if (!this.#held) return;
      const scale = ACROSS / stage.clientWidth;
      const { at, from } = this.#held;
      this.#go(from[0] + (event.clientX - at[0]) * scale, from[1] - (event.clientY - at[1]) * scale);
    };
    stage.onpointerup = stage.onpointercancel = () => (this.#held = undefined);
    stage.onkeydown = (event) => {
      if (!this.walkable || event.ctrlKey || event.metaKey || event.altKey) return;
      const [dx, dy] = KEYS[event.key] ?? [];
      if (event.key === "Home") this.#onMove(0, 0);
      else if (dx === undefined) return;
      else this.#go(this.#place[0] + dx * STEP, this.#place[1] + dy * STEP);
      event.preventDefault();
    };
  }

  show(pixels) {
    this.pixels = pixels;
    draw($("picture"), pixels, this.shape);
  }

  /** Where the image is on its plane; nothing if it is not on one. */
  locate(place) {
    this.walkable = Boolean(place);
    this.#place = place ?? [0, 0];
    const stage = $("stage");
    const label = "The plane through the picked image: arrow keys move on it, Home goes back";
    const said = { role: "application", "aria-label": label, tabindex: "0" };
    for (const [name, value] of Object.entries(said)) {
      if (place) stage.setAttribute(name, value);
      else stage.removeAttribute(name);
    }
    $("compass").toggleAttribute("hidden", !place);
    $("needle").setAttribute("cx", this.#place[0] / Math.PI);
    $("needle").setAttribute("cy", -this.#place[1] / Math.PI);
  }

  #go(x, y) {
    // A circle has no end, its far side is the near one.
    const [wide, high] = [x, y].map((angle) => Math.atan2(Math.sin(angle), Math.cos(angle)));
    this.#onMove(wide, high);
  }
}
