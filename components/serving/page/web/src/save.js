// Images and morphs as files.

import { encode } from "fast-png";
import { GIFEncoder, applyPalette, quantize } from "gifenc";

import { element } from "./dom.js";
import { draw } from "./pixels.js";

const FRAMES_PER_SECOND = 25;
// Of the shorter side: small images are scaled up, or nobody could see them move.
const SMALLEST = 256;
// What the browser may be able to record, the most widely playable first.
const VIDEOS = ["video/mp4;codecs=avc1.42E01E", "video/mp4", "video/webm;codecs=vp9", "video/webm"];

export function save(bytes, type, name) {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  element("a", { href: url, download: name }).click();
  // Only once the browser has read it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The very pixels; a canvas would change those that are nearly transparent. */
export function png(pixels, [height, width, channels]) {
  return encode({ width, height, channels, depth: 8, data: new Uint8Array(pixels) });
}

/** There and back again, without end. */
export function gif(frames, shape) {
  const encoder = GIFEncoder();
  const there = frames.map((pixels) => {
    const { data, width, height } = enlarged(pixels, shape);
    const palette = shape[2] > 2 ? quantize(data, 256) : greys;
    const index = shape[2] > 2 ? applyPalette(data, palette) : data.filter((_, at) => at % 4 === 0);
    return { index: new Uint8Array(index), palette, width, height };
  });
  for (const { index, palette, width, height } of thereAndBack(there)) {
    encoder.writeFrame(index, width, height, { palette, delay: 1000 / FRAMES_PER_SECOND });
  }
  encoder.finish();
  return encoder.bytes();
}

/** The kind of video that this browser records; undefined if none. */
export function videoType() {
  if (!window.MediaRecorder || !HTMLCanvasElement.prototype.captureStream) return undefined;
  return VIDEOS.find((type) => MediaRecorder.isTypeSupported(type));
}

/** There and back again, recorded while it plays. */
export async function video(frames, shape) {
  const canvas = element("canvas");
  const context = canvas.getContext("2d");
  const paint = (pixels) => {
    const image = enlarged(pixels, shape);
    // Encoders want even numbers.
    const [width, height] = [image.width, image.height].map((size) => size + (size % 2));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.putImageData(image, 0, 0);
  };
  paint(frames[0]);
  const recorder = new MediaRecorder(canvas.captureStream(FRAMES_PER_SECOND), {
    mimeType: videoType(),
    videoBitsPerSecond: 8e6,
  });
  const parts = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const stopped = new Promise((resolve, reject) => {
    recorder.onstop = resolve;
    recorder.onerror = ({ error }) => reject(error ?? new Error("the browser cannot record"));
  });
  recorder.start();
  for (const pixels of thereAndBack(frames)) {
    paint(pixels);
    await new Promise((resolve) => setTimeout(resolve, 1000 / FRAMES_PER_SECOND));
  }
  recorder.stop();
  await stopped;
  return new Blob(parts, { type: recorder.mimeType });
}

const greys = Array.from({ length: 256 }, (_, level) => [level, level, level]);

const thereAndBack = (frames) => [...frames, ...frames.slice(1, -1).reverse()];

/** One image on white, as neither GIF nor video is half transparent. */
function enlarged(pixels, shape) {
  const [height, width] = shape;
  const small = element("canvas");
  draw(small, pixels, shape);
  const scale = Math.max(1, Math.ceil(SMALLEST / Math.min(height, width)));
  const large = element("canvas", { width: width * scale, height: height * scale });
  const context = large.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, large.width, large.height);
  context.imageSmoothingEnabled = Math.min(height, width) >= 64;
  context.drawImage(small, 0, 0, large.width, large.height);
  return context.getImageData(0, 0, large.width, large.height);
}
