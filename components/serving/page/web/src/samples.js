// The samples of a state: seeds, classes and latents, without the network.

import { between, move, plane } from "./geometry.js";
import { IMAGES } from "./state.js";
import { classes, latents, rowSeeds } from "./threefry.js";

/** Steps of a morph, both ends included; every sixth is in the film. */
export const FRAMES = 49;
const FILM_STEP = 6;
/** Those that the film shows; and all frames, these first. */
export const FILM = [...Array(FRAMES).keys()].filter((frame) => frame % FILM_STEP === 0);
export const FILM_FIRST = [...FILM, ...[...Array(FRAMES).keys()].filter((n) => n % FILM_STEP)];

export class Samples {
  #description;
  #seed;
  #seeds;
  #latents;
  #drawn;

  constructor(description) {
    this.#description = description;
  }

  /** The name of a class by its label. */
  className(label) {
    return this.#description.class_names?.[label] ?? `class ${label}`;
  }

  /** The classes that can be asked for. */
  get labels() {
    return (this.#description.class_shares ?? []).flatMap((share, label) => (share ? [label] : []));
  }

  seed(state, row) {
    this.#take(state);
    return this.#seeds[row];
  }

  /** The class of an image; undefined for a generator without classes. */
  label(state, row) {
    this.#take(state);
    return this.labels.includes(state.class) ? state.class : this.#drawn?.[row];
  }

  /** Latents and labels of the grid. */
  grid(state) {
    this.#take(state);
    const labels = Array.from({ length: IMAGES }, (_, row) => this.label(state, row));
    return { latents: this.#latents.map((value) => value * state.truncation), labels };
  }

  /** Latents and label of the place on the plane through the picked image. */
  point(state) {
    const latent = this.#latent(state, state.image);
    const directions = plane(latent, this.seed(state, state.image), state.plane);
    const found = move(latent, directions, state.x, state.y);
    return { latents: found.map((value) => value * state.truncation), labels: [this.label(state, state.image)] };
  }

  /** Latents and labels of a morph, in the order of FILM_FIRST. */
  morph(state) {
    const size = this.#description.latent_dim;
    const [start, end] = [state.image, state.to].map((row) => this.#latent(state, row));
    const found = new Float32Array(FRAMES * size);
    FILM_FIRST.forEach((frame, place) => {
      const latent = between(start, end, frame / (FRAMES - 1));
      found.set(latent.map((value) => value * state.truncation), place * size);
    });
    // There is nothing between two classes: the second begins half way.
    const labels = FILM_FIRST.map((frame) => this.label(state, frame < FRAMES / 2 ? state.image : state.to));
    return { latents: found, labels };
  }

  #latent(state, row) {
    this.#take(state);
    const size = this.#description.latent_dim;
    return this.#latents.slice(row * size, (row + 1) * size);
  }

  #take({ seed }) {
    if (seed === this.#seed) return;
    this.#seed = seed;
    this.#seeds = rowSeeds(seed, IMAGES);
    this.#latents = latents(this.#seeds, this.#description.latent_dim);
    const shares = this.#description.class_shares;
    this.#drawn = shares && classes(this.#seeds, shares);
  }
}
