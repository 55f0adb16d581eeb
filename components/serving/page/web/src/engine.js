// The network as the page calls it: in small batches, the most urgent first, stale ones not at all.

// Of a batch, so that a change of mind is never far.
const BATCH_MILLISECONDS = 60;
const MAX_ROWS = 64;

// Some errors of the runtime list what it was given.
const shortened = (text) => (text.length > 300 ? `${text.slice(0, 300)} …` : text);

/** Channels, most urgent first: what the pointer moves, a morph, the grid, the one beside it. */
const CHANNELS = ["point", "morph", "grid", "other"];

export class Engine {
  #worker;
  #waiting = new Map();
  #jobs = new Map();
  #calls = 0;
  #running = false;
  #rowMilliseconds = BATCH_MILLISECONDS;

  /**
   * Opens a model. `description` is the generator's, as its signature `describe` gives it.
   * Raises an Error if the browser or the model cannot do it.
   */
  static async open({ code, runtime, model, description }) {
    const engine = new Engine(code, description);
    try {
      const { conditional } = await engine.#call({ command: "open", runtime, model });
      if (conditional !== engine.conditional) {
        throw new Error("its inputs are not those that the description says");
      }
    } catch (error) {
      engine.close();
      throw new Error(`The model in this page cannot run: ${shortened(error.message)}`);
    }
    return engine;
  }

  constructor(code, description) {
    this.description = description;
    this.shape = description.shape;
    this.latentSize = description.latent_dim;
    this.conditional = Boolean(description.class_shares);
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    this.#worker = new Worker(url);
    this.#worker.onmessage = ({ data }) => this.#answer(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const error = event.message || "the worker cannot start";
      for (const id of [...this.#waiting.keys()]) this.#answer({ id, error });
    };
  }

  /**
   * Makes images, and takes the place of what the channel still has to make.
   *
   * `latents` is a Float32Array, row after row; `labels` are numbers, ignored by a generator
   * without classes. `onRow(row, pixels)` is called for each image, uint8. Resolves to whether all
   * were made; false if something newer took their place.
   */
  generate(channel, latents, labels, onRow) {
    this.#jobs.get(channel)?.resolve(false);
    return new Promise((resolve, reject) => {
      const rows = latents.length / this.latentSize;
      this.#jobs.set(channel, { channel, latents, labels, onRow, rows, done: 0, resolve, reject });
      if (!this.#running) this.#run();
    });
  }

  close() {
    this.#worker.terminate();
  }

  async #run() {
    this.#running = true;
    for (;;) {
      const channel = CHANNELS.find((name) => this.#jobs.has(name));
      if (!channel) break;
      const job = this.#jobs.get(channel);
      try {
        await this.#batch(job);
      } catch (error) {
        if (this.#jobs.get(channel) === job) this.#jobs.delete(channel);
        job.reject(error);
      }
    }
    this.#running = false;
  }

  async #batch(job) {
    const size = this.latentSize;
    const fitting = Math.max(1, Math.floor(BATCH_MILLISECONDS / this.#rowMilliseconds));
    const rows = Math.min(fitting, MAX_ROWS, job.rows - job.done);
    const end = job.done + rows;
    if (rows) {
      const latents = job.latents.slice(job.done * size, end * size);
      const labels = this.conditional && BigInt64Array.from(job.labels.slice(job.done, end), BigInt);
      const started = performance.now();
      const { pixels } = await this.#call({ command: "run", latents, labels, rows });
      this.#rowMilliseconds = (performance.now() - started) / rows;
      if (this.#jobs.get(job.channel) !== job) return;
      const length = pixels.length / rows;
      for (let row = 0; row < rows; row++) {
        job.onRow(job.done + row, pixels.slice(row * length, (row + 1) * length));
      }
      job.done = end;
    }
    if (job.done === job.rows) {
      this.#jobs.delete(job.channel);
      job.resolve(true);
    }
  }

  #call(message) {
    return new Promise((resolve, reject) => {
      const id = this.#calls++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...message });
    });
  }

  #answer({ id, error, ...found }) {
    const { resolve, reject } = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) reject(new Error(error));
    else resolve(found);
  }
}
