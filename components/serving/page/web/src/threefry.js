// Latents and classes as functions of a seed, the same as in components/serving/draws.py:
// Threefry-2x32 with 20 rounds, then the transform of Box and Muller in float64.

const LATENTS_STREAM = 0;
const CLASSES_STREAM = 1;
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];
const PARITY = 0x1bd11bda;
// Where a cosine is a sine.
const QUARTER = Math.PI / 2;

/** Two random words, uint32, of a key and a counter of two words each. */
export function threefry([key0, key1], [counter0, counter1]) {
  const keys = [key0, key1, key0 ^ key1 ^ PARITY];
  let first = (counter0 + keys[0]) | 0;
  let second = (counter1 + keys[1]) | 0;
  for (let round = 0; round < 20; round++) {
    const places = ROTATIONS[round % 8];
    first = (first + second) | 0;
    second = ((second << places) | (second >>> (32 - places))) ^ first;
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      first = (first + keys[injection % 3]) | 0;
      second = (second + keys[(injection + 1) % 3] + injection) | 0;
    }
  }
  return [first >>> 0, second >>> 0];
}

/** The seeds of the rows of a run, as `row_seeds` in components/serving/contract.py. */
export function rowSeeds(seed, count) {
  const start = BigInt(seed) * 2n ** 32n;
  return Array.from({ length: count }, (_, row) => BigInt.asIntN(64, start + BigInt(row)));
}

/** N(0, I) latents of int64 seeds (BigInt): Float32Array, row after row. */
export function latents(seeds, size) {
  const found = new Float32Array(seeds.length * size);
  seeds.forEach((seed, row) => {
    const key = words(seed);
    for (let place = 0; place < size; place += 2) {
      const [first, second] = threefry(key, [place / 2, LATENTS_STREAM]).map(uniform);
      const radius = Math.sqrt(-2 * Math.log(first));
      const turn = 2 * Math.PI * second;
      found[row * size + place] = radius * Math.sin(turn + QUARTER);
      if (place + 1 < size) found[row * size + place + 1] = radius * Math.sin(turn);
    }
  });
  return found;
}

/** The classes of int64 seeds (BigInt), as often as their shares say. */
export function classes(seeds, shares) {
  const total = shares.reduce((sum, share) => sum + share, 0);
  const last = shares.findLastIndex((share) => share > 0);
  let sum = 0;
  // What is left to rounding goes to no class without a share.
  const ends = shares.map((share, label) => ((sum += share), label < last ? sum / total : 1));
  return seeds.map((seed) => {
    const drawn = uniform(threefry(words(seed), [0, CLASSES_STREAM])[0]);
    return ends.findIndex((end) => end > drawn);
  });
}

const words = (seed) => [seed, seed >> 32n].map((part) => Number(BigInt.asIntN(32, part)));

const uniform = (word) => (word + 0.5) / 2 ** 32;
