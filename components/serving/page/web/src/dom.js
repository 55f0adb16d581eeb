// The page's elements, and short notes to the reader.

export const $ = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const found = Object.assign(document.createElement(tag), properties);
  found.append(...children);
  return found;
}

const NOTE_MILLISECONDS = 2500;
let pending;

/** Says something for a moment; aloud for those who listen. */
export function note(text) {
  $("toast").textContent = text;
  clearTimeout(pending);
  pending = setTimeout(() => ($("toast").textContent = ""), NOTE_MILLISECONDS);
}

/** Says what went wrong; without an error, that nothing is wrong any more. */
export function problem(error) {
  $("problem").textContent = error ? (error.message ?? String(error)) : "";
  $("problem").hidden = !error;
}

export async function copy(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    note("Copied");
  } catch {
    // Not allowed to: the reader can.
    if (element) getSelection().selectAllChildren(element);
    note(element ? "Press Ctrl+C to copy" : "The browser does not allow to copy");
  }
}
