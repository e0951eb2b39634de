// The library: how many groups of duplicates wait for somebody, and addresses without empty words.
import { ask, Refused } from "./dom.js";

const tag = document.querySelector("#duplicates .tag");
const PAUSE = 10_000; // milliseconds between two counts while comics are being compared
let last = -PAUSE;

async function count() {
  if (document.hidden || performance.now() - last < PAUSE) return;
  last = performance.now();
  try {
    const { comic, page, bytes, more } = await ask("/duplicates/counts");
    const open = comic + page + bytes;
    tag.textContent = open.toLocaleString("en") + (more ? "+" : "");
    tag.hidden = !open;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tag.hidden = true;
  }
}

document.body.addEventListener("changed", count);
document.body.addEventListener("htmx:configRequest", (event) => {
  if (event.target.id !== "filters") return;
  const said = event.detail.parameters;
  for (const name of Object.keys(said)) if (!said[name]) delete said[name];
});
count();
