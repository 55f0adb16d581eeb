// Training images that resemble an image most: whether it is new, or remembered.

import { embedded } from "./bytes.js";
import { $, element } from "./dom.js";
import { draw } from "./pixels.js";

const SHOWN = 4;
// Of the grey copies that are compared, at most.
const SIDE = 16;

export class Neighbours {
  #images;
  #shape;
  #features;

  /** Of the page's training images, [m, height, width, channels]. */
  static async open([count, ...shape]) {
    const found = new Neighbours();
    const bytes = await embedded("neighbours");
    const size = shape[0] * shape[1] * shape[2];
    found.#shape = shape;
    found.#images = Array.from({ length: count }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
    found.#features = found.#images.map((pixels) => feature(pixels, shape));
    $("nearest-images").replaceChildren(
      ...Array.from({ length: Math.min(SHOWN, count) }, () => element("canvas", { role: "img" })),
    );
    $("nearest").hidden = false;
    return found;
  }

  /** Shows those nearest to an image. */
  show(pixels, shape) {
    const given = feature(pixels, shape);
    const near = this.#features.map((other, at) => [dot(given, other), at]);
    near.sort(([one], [other]) => other - one);
    [...$("nearest-images").children].forEach((canvas, place) => {
      const [correlation, at] = near[place];
      draw(canvas, this.#images[at], this.#shape);
      canvas.ariaLabel = `Training image ${at + 1}, correlation ${correlation.toFixed(2)}`;
      canvas.title = canvas.ariaLabel;
    });
  }
}

/** A small grey copy as a vector, whose products with others are correlations. */
export function feature(pixels, [height, width, channels]) {
  const rows = Array.from({ length: SIDE }, (_, place) => part(place, height));
  const columns = Array.from({ length: SIDE }, (_, place) => part(place, width));
  const means = rows.flatMap(([top, bottom]) =>
    columns.map(([left, right]) => {
      let sum = 0;
      for (let row = top; row < bottom; row++) {
        for (let at = row * width + left; at < row * width + right; at++) {
          sum += grey(pixels, at * channels, channels);
        }
      }
      return sum / ((bottom - top) * (right - left));
    }),
  );
  const mean = means.reduce((sum, value) => sum + value, 0) / means.length;
  const centred = means.map((value) => value - mean);
  const length = Math.sqrt(dot(centred, centred)) || 1;
  return Float32Array.from(centred, (value) => value / length);
}

/** The pixels along a side that a cell of the copy covers; of a small image one, more than once. */
function part(place, size) {
  const start = Math.floor((place * size) / SIDE);
  return [start, Math.max(start + 1, Math.floor(((place + 1) * size) / SIDE))];
}

function grey(pixels, at, channels) {
  const coloured = channels > 2;
  const sum = coloured ? (pixels[at] + pixels[at + 1] + pixels[at + 2]) / 3 : pixels[at];
  return channels % 2 ? sum : (sum * pixels[at + channels - 1]) / 255;
}

const dot = (one, other) => one.reduce((sum, value, place) => sum + value * other[place], 0);
