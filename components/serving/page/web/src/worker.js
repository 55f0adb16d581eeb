// Runs the network beside the page, which stays responsive. Answers each message in its order.

import * as ort from "onnxruntime-web/wasm";

import { toUint8 } from "./pixels.js";

// Threads need headers that a file has not.
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

let session;

const answers = {
  async open({ runtime, model }) {
    ort.env.wasm.wasmBinary = runtime;
    session = await ort.InferenceSession.create(model);
    return { conditional: session.inputNames.includes("labels") };
  },

  async run({ latents, labels, rows }) {
    const inputs = { latents: new ort.Tensor("float32", latents, [rows, latents.length / rows]) };
    if (labels) inputs.labels = new ort.Tensor("int64", labels, [rows]);
    const { images } = await session.run(inputs);
    const pixels = toUint8(images.data);
    images.dispose();
    return { pixels };
  },
};

let last = Promise.resolve();
self.onmessage = ({ data: { id, command, ...content } }) => {
  last = last
    .then(() => answers[command](content))
    .then((found) => self.postMessage({ id, ...found }, found.pixels ? [found.pixels.buffer] : []))
    .catch((error) => self.postMessage({ id, error: String(error?.message ?? error) }));
};
