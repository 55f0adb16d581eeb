// Floats to pixels, and pixels to what a canvas shows.

/** Floats in [-1, 1] to uint8, as `to_uint8` in components/data/examples.py: ties to even. */
export function toUint8(values) {
  const found = new Uint8ClampedArray(values.length);
  // A clamped array rounds as TensorFlow does.
  for (let place = 0; place < values.length; place++) {
    found[place] = Math.fround(Math.fround(values[place] + 1) * 127.5);
  }
  return found;
}

/** One image of 1 (grey), 2 (grey, alpha), 3 or 4 channels as ImageData. */
export function toImageData(pixels, [height, width, channels]) {
  const found = new ImageData(width, height);
  const coloured = channels > 2;
  for (let from = 0, to = 0; from < pixels.length; from += channels, to += 4) {
    for (let colour = 0; colour < 3; colour++) {
      found.data[to + colour] = pixels[from + (coloured ? colour : 0)];
    }
    found.data[to + 3] = channels % 2 ? 255 : pixels[from + channels - 1];
  }
  return found;
}

/** Draws one image on a canvas, which takes its size. */
export function draw(canvas, pixels, shape) {
  const [height, width] = shape;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(toImageData(pixels, shape), 0, 0);
}
