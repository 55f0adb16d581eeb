// The data that the file carries: base64 of gzip, in script elements that browsers do not run.

/** The bytes in the element with this id; raises an Error if the file is cut off. */
export async function embedded(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The file is incomplete: its ${id} is missing. Get it again.`);
  try {
    return await gunzip(fromBase64(element.textContent.trim()));
  } catch {
    throw new Error(`The file is damaged or incomplete: its ${id} cannot be unpacked. Get it again.`);
  }
}

/** The JSON value in the element with this id. */
export function embeddedJson(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

export async function gunzip(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  return Uint8Array.from(characters, (character) => character.charCodeAt(0));
}
