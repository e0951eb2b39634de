// Panels as boxes {x, y, w, h} in page pixels, and as shapes over the page's picture.

const SVG = "http://www.w3.org/2000/svg";
const EDGES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];
const HANDLE = 11; // pixels of the screen: a handle's side

export const between = (low, value, high) => Math.min(Math.max(value, low), high);
export const round = (value) => Math.round(value * 100) / 100;

/** The box moved back onto the page. */
export function inside({ x, y, w, h }, page) {
  return { x: between(0, x, page.w - w), y: between(0, y, page.h - h), w, h };
}

/** The box with one edge or corner ("n", "se", …) pulled by dx, dy; it stays on the page and keeps a least size. */
export function stretched(box, edge, { dx, dy, page, least }) {
  let [left, top, right, bottom] = [box.x, box.y, box.x + box.w, box.y + box.h];
  if (edge.includes("w")) left = between(0, left + dx, right - least);
  if (edge.includes("e")) right = between(left + least, right + dx, page.w);
  if (edge.includes("n")) top = between(0, top + dy, bottom - least);
  if (edge.includes("s")) bottom = between(top + least, bottom + dy, page.h);
  return { x: left, y: top, w: right - left, h: bottom - top };
}

/** The box between two opposite corners. */
export function spanned(a, b) {
  return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), w: Math.abs(a.x - b.x), h: Math.abs(a.y - b.y) };
}

/** An SVG element. */
export function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A panel with its number (0: none yet), in the overlay's size `unit`. */
export function cut(box, { k, number, of, on, unit }) {
  const [cx, cy] = [box.x + unit * 1.15, box.y + unit * 1.15];
  const frame = shape("rect", { x: box.x, y: box.y, width: box.w, height: box.h, "vector-effect": "non-scaling-stroke" });
  const marks = number ? [shape("circle", { cx, cy, r: unit * 0.82 }), shape("text", { x: cx, y: cy, "font-size": unit }, String(number))] : [];
  const label = number ? `Panel ${number} of ${of}` : "A panel without a number yet";
  return shape("g", { class: on ? "cut on" : "cut", "data-k": k, tabindex: 0, role: "button", "aria-pressed": on, "aria-label": label }, frame, ...marks);
}

/** What edges and corners are pulled by; `pixel`: page pixels to one of the screen. */
export function handles(box, pixel) {
  const side = HANDLE * pixel;
  return EDGES.map((edge) => {
    const x = box.x + box.w * (edge.includes("w") ? 0 : edge.includes("e") ? 1 : 0.5);
    const y = box.y + box.h * (edge.includes("n") ? 0 : edge.includes("s") ? 1 : 0.5);
    return shape("rect", { class: `handle ${edge}`, "data-edge": edge, x: x - side / 2, y: y - side / 2, width: side, height: side, "vector-effect": "non-scaling-stroke" });
  });
}
