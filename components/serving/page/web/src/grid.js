// The images of a run, one of which is picked.

import { $, element } from "./dom.js";
import { draw } from "./pixels.js";
import { IMAGES } from "./state.js";

const COLUMNS = 8;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS };
const JUMPS = { Home: 0, End: IMAGES - 1 };

export class Grid {
  #tiles;

  /** `onPick(row)` is called when the reader picks an image; a grid without it only shows them. */
  constructor(id, shape, onPick) {
    const [height, width] = shape;
    this.shape = shape;
    this.pixels = [];
    this.#tiles = Array.from({ length: IMAGES }, (_, row) => {
      const tile = element("div", { className: "tile" }, element("canvas", { width, height }));
      if (onPick) {
        tile.role = "option";
        tile.onclick = () => (onPick(row), tile.focus());
        tile.onkeydown = (event) => this.#key(event, row, onPick);
      }
      return tile;
    });
    $(id).replaceChildren(...this.#tiles);
  }

  show(row, pixels) {
    this.pixels[row] = pixels;
    draw(this.#tiles[row].firstChild, pixels, this.shape);
  }

  /** Names the images, and marks the picked one and, of a morph, the other end. */
  mark(picked, end, name) {
    this.#tiles.forEach((tile, row) => {
      tile.ariaLabel = name(row);
      tile.ariaSelected = String(row === picked);
      tile.classList.toggle("end", row === end);
      tile.tabIndex = row === picked ? 0 : -1;
    });
  }

  #key(event, row, onPick) {
    const to = JUMPS[event.key] ?? row + (STEPS[event.key] ?? NaN);
    if (!(to >= 0 && to < IMAGES) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    onPick(to);
    this.#tiles[to].focus();
  }
}
