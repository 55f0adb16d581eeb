// A metric over versions.

import { number } from "./about.js";
import { $ } from "./dom.js";
import { versionName } from "./models.js";

const WIDEST = 640;
const HEIGHT = 180;
const MARGIN = { left: 48, right: 24, top: 16, bottom: 28 };

/** Draws one line for the FID of the versions that have one; hidden if fewer than two do. */
export function chart(versions) {
  const points = versions.flatMap(({ version, metrics }) =>
    metrics?.FID ? [{ version, value: metrics.FID.value }] : [],
  );
  $("history").hidden = points.length < 2;
  if (points.length < 2) return;
  const values = points.map(({ value }) => value);
  // Drawn as wide as it is shown, so that its text is as large as the page's.
  const wide = Math.min(WIDEST, document.body.clientWidth - 32);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = high - low || 1;
  const x = (place) => MARGIN.left + (place / (points.length - 1)) * (wide - MARGIN.left - MARGIN.right);
  const y = (value) => MARGIN.top + ((high - value) / span) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const svg = svgElement("svg", { viewBox: `0 0 ${wide} ${HEIGHT}`, role: "img", class: "chart" });
  const words = points.map(({ version, value }) => `${versionName(version)}: ${number(value)}`);
  svg.setAttribute("aria-label", `FID when it was blessed, of each version: ${words.join("; ")}`);
  for (const value of new Set([low, high])) {
    svg.append(svgElement("path", { class: "rule", d: `M${MARGIN.left} ${y(value)}H${wide - MARGIN.right}` }));
    svg.append(svgElement("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value)));
  }
  const line = points.map(({ value }, place) => `${place ? "L" : "M"}${x(place)} ${y(value)}`);
  svg.append(svgElement("path", { class: "line", d: line.join("") }));
  points.forEach(({ value }, place) => {
    const point = svgElement("circle", { cx: x(place), cy: y(value), r: 5 });
    point.append(svgElement("title", {}, words[place]));
    svg.append(point);
  });
  const ends = [[0, "start"], [points.length - 1, "end"]];
  for (const [place, anchor] of ends) {
    const at = { x: anchor === "start" ? MARGIN.left : wide - MARGIN.right, y: HEIGHT - 6, "text-anchor": anchor };
    svg.append(svgElement("text", at, points[place].version));
  }
  $("chart").replaceChildren(svg);
}

function svgElement(tag, attributes, text = "") {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  found.textContent = text;
  return found;
}
