// Correcting a page's panels over its picture: draw, drag, remove, number; then the REST stores what a person said.
import { changed, watch } from "./app.js";
import { ask, Refused, say, tell, typing } from "./dom.js";
import { between, cut, handles, inside, round, shape, spanned, stretched } from "./panel-shapes.js";

const LEAST = 8; // pixels of the screen: the smallest panel that is meant
const STEP = 4; // and how far an arrow key moves a panel

const tools = document.getElementById("corrector");
const opener = document.getElementById("correct");
const field = (name) => document.getElementById(`corrector-${name}`);
const page = { w: Number(tools?.dataset.width), h: Number(tools?.dataset.height) };
const here = `/pages/${tools?.dataset.page}/panels`;

let sheet = null; // the SVG while somebody corrects
let looked = null; // the layout that was looked at
let way = null; // the direction that was shown: unless it is changed, the server knows better
let panels = []; // {x, y, w, h} in page pixels, in reading order
let chosen = null; // place of the chosen panel
let numbering = null; // the panels that got their number, while numbers are given by clicks
let drag = null;
let past = []; // what an undo goes back to

const editing = () => sheet !== null;
const pixel = () => page.w / sheet.clientWidth; // page pixels to one of the screen

/* What is shown. */
function draw() {
  const focused = sheet.contains(document.activeElement);
  const unit = Math.min(page.w, page.h) / 36;
  const cuts = panels.map((panel, k) => {
    const number = numbering ? numbering.indexOf(panel) + 1 : k + 1;
    return cut(panel, { k, number, of: panels.length, on: k === chosen, unit });
  });
  sheet.replaceChildren(...cuts, ...(chosen === null || numbering ? [] : handles(panels[chosen], pixel())));
  if (focused) (sheet.querySelector(`[data-k="${chosen}"]`) ?? sheet).focus({ preventScroll: true });
  tools.querySelector('[data-do="remove"]').disabled = chosen === null;
  tools.querySelector('[data-do="undo"]').disabled = !past.length;
  tools.querySelector('[data-do="number"]').setAttribute("aria-pressed", String(numbering !== null));
  for (const name of ["earlier", "later"]) tools.querySelector(`[data-do="${name}"]`).disabled = chosen === null;
}

/* What changes. Panels are replaced, never written into, so that the past stays what it was. */
function remember() {
  past.push({ panels, reason: field("reason").value });
  if (past.length > 200) past.shift();
}

function put(k, box) {
  panels = panels.with(k, box);
}

function add(box) {
  remember();
  panels = [...panels, box];
  chosen = panels.length - 1;
  field("reason").value = "";
}

function move(by) {
  if (chosen === null || panels[chosen + by] === undefined) return;
  remember();
  const [one, other] = [panels[chosen], panels[chosen + by]];
  panels = panels.with(chosen, other).with(chosen + by, one);
  chosen += by;
}

function give(k) {
  if (numbering.includes(panels[k])) return;
  numbering.push(panels[k]);
  if (numbering.length === panels.length) numbered();
}

function numbered() {
  if (numbering?.length) {
    remember();
    panels = [...numbering, ...panels.filter((panel) => !numbering.includes(panel))];
    chosen = null;
  }
  numbering = null;
}

const ACTS = {
  add: () => add({ x: page.w / 3, y: page.h / 3, w: page.w / 3, h: page.h / 3 }),
  whole: () => {
    remember();
    panels = [{ x: 0, y: 0, w: page.w, h: page.h }];
    chosen = 0;
    field("reason").value = "";
  },
  remove: () => {
    if (chosen === null) return;
    remember();
    panels = panels.toSpliced(chosen, 1);
    chosen = panels.length ? Math.min(chosen, panels.length - 1) : null;
  },
  earlier: () => move(-1),
  later: () => move(1),
  number: () => {
    if (numbering) numbered();
    else [numbering, chosen] = [[], null];
  },
  undo: () => {
    if (!past.length) return;
    const before = past.pop();
    panels = before.panels;
    field("reason").value = before.reason;
    [chosen, numbering] = [null, null];
  },
};

/* The pointer: on a handle it stretches, on a panel it moves it, anywhere else (or with Shift) it draws a new one. */
function at(event) {
  const box = sheet.getBoundingClientRect();
  return { x: between(0, ((event.clientX - box.left) / box.width) * page.w, page.w), y: between(0, ((event.clientY - box.top) / box.height) * page.h, page.h) };
}

function pressed(event) {
  if (event.button !== 0) return;
  const [edge, hit] = [event.target.dataset.edge, event.target.closest(".cut")];
  const k = hit && Number(hit.dataset.k);
  if (numbering) {
    if (hit) give(k);
    draw();
    return;
  }
  event.preventDefault();
  sheet.setPointerCapture(event.pointerId);
  if (!edge) chosen = hit && !event.shiftKey ? k : null;
  drag = { from: at(event), edge, box: chosen === null ? null : panels[chosen], moved: false };
  draw();
  (sheet.querySelector(".cut.on") ?? sheet).focus({ preventScroll: true });
}

function dragged(event) {
  if (!drag) return;
  const [to, from] = [at(event), drag.from];
  if (!drag.moved) {
    if (Math.hypot(to.x - from.x, to.y - from.y) < 3 * pixel()) return;
    drag.moved = true;
    if (drag.box) remember();
    else add(spanned(from, to));
  }
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  if (!drag.box) put(chosen, spanned(from, to));
  else if (drag.edge) put(chosen, stretched(drag.box, drag.edge, { dx, dy, page, least: LEAST * pixel() }));
  else put(chosen, inside({ ...drag.box, x: drag.box.x + dx, y: drag.box.y + dy }, page));
  draw();
}

function released() {
  const drawn = drag?.moved && !drag.box ? panels[chosen] : null;
  if (drawn && Math.min(drawn.w, drawn.h) < LEAST * pixel()) ACTS.undo();
  drag = null;
  draw();
}

/* Keys, while the picture or one of its panels has the focus. */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = { n: "add", Delete: "remove", Backspace: "remove", ",": "earlier", ".": "later" };

function keyed(event) {
  if (drag) return; // it holds on to what a key might take away
  if (event.target.dataset.k !== undefined && (event.key === "Enter" || event.key === " ") && numbering) give(Number(event.target.dataset.k));
  else if (ARROWS[event.key] && chosen !== null && !numbering) {
    const [dx, dy] = ARROWS[event.key].map((way) => way * STEP * pixel());
    const box = panels[chosen];
    if (!event.repeat) remember();
    put(chosen, event.shiftKey ? stretched(box, "se", { dx, dy, page, least: LEAST * pixel() }) : inside({ ...box, x: box.x + dx, y: box.y + dy }, page));
  } else if (event.key === "Escape") [chosen, numbering] = [null, null];
  else if (event.key === "z" && (event.ctrlKey || event.metaKey)) ACTS.undo();
  else if (KEYS[event.key] && !numbering && !typing(event)) ACTS[KEYS[event.key]]();
  else return;
  event.preventDefault();
  draw();
}

/* Beginning, saving, going back. */
function complain(words) {
  field("error").textContent = words;
  field("error").hidden = !words;
}

async function begin() {
  const layouts = await ask(`/layouts?page_id=${tools.dataset.page}`);
  if (editing()) return; // asked for twice, say by a double click
  looked = layouts.find((layout) => layout.active) ?? null;
  panels = (looked?.panels ?? []).map(({ box: [x, y, w, h] }) => ({ x, y, w, h }));
  [chosen, numbering, drag, past] = [null, null, null, []];
  field("reason").value = { text: "text", blank: "blank", pictures: "pictures" }[looked?.reason] ?? "";
  way = looked?.direction ?? (tools.dataset.direction || "ltr");
  field("direction").value = way;
  field("order").checked = false;
  tools.querySelector('[data-do="revert"]').hidden = looked?.source !== "person";
  tools.querySelector('[data-do="force"]').hidden = true;
  complain("");
  const box = document.querySelector(".sheet-box");
  sheet = shape("svg", { class: "overlay cuts", viewBox: `0 0 ${page.w} ${page.h}`, preserveAspectRatio: "none", tabindex: 0, role: "group", "aria-label": "Panels to correct" });
  for (const [name, heard] of Object.entries({ pointerdown: pressed, pointermove: dragged, pointerup: released, pointercancel: released, keydown: keyed })) sheet.addEventListener(name, heard);
  sheet.addEventListener("focusin", ({ target }) => {
    if (target.dataset.k === undefined || numbering || chosen === Number(target.dataset.k)) return;
    chosen = Number(target.dataset.k);
    draw();
  });
  show(true);
  box.append(sheet);
  draw();
  sheet.focus({ preventScroll: true });
}

function end() {
  sheet?.remove();
  sheet = null;
  show(false);
  opener.focus();
  document.body.dispatchEvent(new Event("acted"));
  changed();
  watch();
}

function show(shown) {
  tools.hidden = !shown;
  opener.setAttribute("aria-expanded", String(shown));
  document.body.classList.toggle("correcting", shown);
}

async function save({ force }) {
  numbered();
  const said = { panels: panels.map(({ x, y, w, h }) => [x, y, w, h].map(round)), reorder: field("order").checked, force };
  if (looked) said.based_on = looked.id;
  if (field("direction").value !== way) said.direction = field("direction").value;
  if (!panels.length) said.reason = field("reason").value || null;
  if (field("author").value.trim()) said.author = field("author").value.trim();
  if (!panels.length && !said.reason) {
    complain("Say why there is no panel, or draw one.");
    field("reason").focus();
    return;
  }
  const kept = await tell(here, said, "PUT");
  keepAuthor(said.author ?? "");
  say(kept.panels.length ? "The panels are stored; their text follows." : "Stored: there is no panel here.");
  end();
}

async function revert({ force }) {
  await ask(`${here}?based_on=${looked.id}&force=${force}`, { method: "DELETE" });
  say("These are the machine's panels again; yours stay stored.");
  end();
}

let last = save; // what was refused, to be forced
async function send(what, force = false) {
  last = what;
  try {
    await what({ force });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (!editing()) {
      say(error.message, { bad: true });
      return;
    }
    complain(error.message);
    tools.querySelector('[data-do="force"]').hidden = error.status !== 409;
  }
}

function keepAuthor(name) {
  try {
    localStorage.setItem("author", name);
  } catch {
    // Forbidden storage: the name is asked for again.
  }
}
try {
  if (tools) field("author").value = localStorage.getItem("author") ?? "";
} catch {
  // Forbidden storage: nobody is known.
}

opener?.addEventListener("click", () => (editing() ? end() : send(begin)));
tools?.addEventListener("click", (event) => {
  const act = event.target.closest("button")?.dataset.do;
  if (act === "save") send(save);
  else if (act === "revert") send(revert);
  else if (act === "force") send(last, true);
  else if (act === "cancel") end();
  else if (ACTS[act]) {
    ACTS[act]();
    draw();
    if (act === "add") sheet.querySelector(".cut.on").focus({ preventScroll: true });
  }
});
field("reason")?.addEventListener("change", ({ target }) => {
  if (!target.value || !panels.length) return;
  past.push({ panels, reason: "" });
  [panels, chosen, numbering] = [[], null, null];
  draw();
});
addEventListener("keydown", (event) => {
  if (event.key === "e" && !typing(event) && !editing()) opener?.click();
});
addEventListener("resize", () => editing() && draw());
addEventListener("beforeunload", (event) => editing() && past.length && event.preventDefault());
/* What is being drawn is not taken away by work that goes on. */
document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "live" && editing()) event.preventDefault();
});
