// Where to go in latent space. Generators know latents of length near the root of their size only,
// so every way is along a great circle.

import { latents } from "./threefry.js";

// A sine below which two latents count as parallel.
const PARALLEL = 1e-4;
// Keeps the seeds of directions away from those of samples.
const DIRECTIONS = 2n ** 62n;

const dot = (one, other) => one.reduce((sum, value, place) => sum + value * other[place], 0);
const norm = (vector) => Math.sqrt(dot(vector, vector));
const combine = (a, one, b, other) => one.map((value, place) => a * value + b * other[place]);

/** Between two latents, as `between` in components/serving/draws.py; `position` in [0, 1]. */
export function between(start, end, position) {
  const cosine = dot(start, end) / (norm(start) * norm(end) || 1);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const scale = Math.sin(angle);
  if (scale < PARALLEL) return combine(1 - position, start, position, end);
  const shares = [1 - position, position].map((share) => Math.sin(share * angle) / scale);
  return combine(shares[0], start, shares[1], end);
}

/**
 * Two random directions that are orthogonal to a latent and to each other, of length 1; of length
 * 0 where so small a space has no more. A function of the latent's seed and the number `turn`.
 */
export function plane(latent, seed, turn) {
  const size = latent.length;
  const known = [unit(latent)];
  for (const number of [0n, 1n]) {
    const seeds = [BigInt.asIntN(64, seed + DIRECTIONS * (1n + number) + 4096n * BigInt(turn))];
    let found = latents(seeds, size);
    const length = norm(found);
    for (const other of known) found = combine(1, found, -dot(found, other), other);
    // What rounding leaves of nothing is no direction.
    known.push(norm(found) > 1e-3 * length ? unit(found) : found.map(() => 0));
  }
  return known.slice(1);
}

/** From a latent by the angles x and y (radians) along two directions of `plane`. */
export function move(latent, [along, across], x, y) {
  const way = combine(x, along, y, across);
  const angle = norm(way);
  if (!angle) return latent;
  return combine(Math.cos(angle), latent, (Math.sin(angle) * norm(latent)) / angle, way);
}

const unit = (vector) => {
  const length = norm(vector) || 1;
  return vector.map((value) => value / length);
};
