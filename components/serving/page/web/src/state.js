// What is shown, kept in the fragment of the address, so that a link shows the same.

const whole = (low, high) => (text) => {
  const value = Number(text);
  return /^-?\d+$/.test(text) && value >= low && value <= high ? value : undefined;
};
const real = (low, high) => (text) => {
  const value = Number(text);
  return text.trim() && value >= low && value <= high ? value : undefined;
};

export const IMAGES = 64;
export const SEEDS = { low: -(2 ** 31), high: 2 ** 31 - 1 };

const version = (text) => (/^\d{1,19}$/.test(text) ? text : undefined);

/** Each key: its default, and what reads it from text (undefined for what it cannot be). */
const KEYS = {
  // Of the run; the seed of image i is seed · 2³² + i.
  seed: [0, whole(SEEDS.low, SEEDS.high)],
  // A label, or null for classes as often as in the data.
  class: [null, whole(0, 2 ** 31)],
  truncation: [1, real(0, 1)],
  mode: ["walk", (text) => (["walk", "morph"].includes(text) ? text : undefined)],
  // The picked image, and where a morph ends.
  image: [0, whole(0, IMAGES - 1)],
  to: [1, whole(0, IMAGES - 1)],
  // On the plane through the picked image, in radians, and which plane.
  x: [0, real(-Math.PI, Math.PI)],
  y: [0, real(-Math.PI, Math.PI)],
  plane: [0, whole(0, 4095)],
  // In the studio: the version, and the one to compare it with.
  version: ["", version],
  other: ["", version],
  // Of a morph: a frame.
  at: [24, whole(0, 48)],
};

export const DEFAULTS = Object.fromEntries(
  Object.entries(KEYS).map(([key, [value]]) => [key, value]),
);

/** What a fragment says; what it does not say, or says wrongly, is the default. */
export function parse(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const found = { ...DEFAULTS };
  for (const [key, [, read]] of Object.entries(KEYS)) {
    if (given.has(key)) found[key] = read(given.get(key)) ?? found[key];
  }
  return found;
}

/** The fragment of a state, without what is as by default. */
export function format(state) {
  const said = Object.keys(KEYS).filter((key) => state[key] !== DEFAULTS[key]);
  return said.map((key) => `${key}=${rounded(state[key])}`).join("&");
}

const rounded = (value) => (typeof value === "number" ? Number(value.toFixed(3)) : value);
