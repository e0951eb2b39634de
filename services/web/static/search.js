// Searching: the address holds the query (all but a picture of one's own), the REST answers, the screen draws.
import { ask, bdi, h, icon, onDrop, Refused } from "./dom.js";

const form = document.getElementById("query");
const words = document.getElementById("words");
const comic = document.getElementById("comic");
// Each is there only where there is something to choose.
const shelves = ["source", "collection"].map((name) => document.getElementById(name)).filter(Boolean);
const chip = document.getElementById("chip");
const results = document.getElementById("results");
const hint = document.getElementById("hint");
const summary = document.getElementById("summary");
const asked = document.getElementById("asked");
const LIMIT = 60;
const LOOK = 480; // pixels across

let panel = null; // more like this one
let picture = null; // a file of one's own
let running = null;

const kind = () => form.elements.kind.value;

/* The address and the form say the same. */
function fromAddress() {
  const given = new URLSearchParams(location.search);
  words.value = given.get("q") ?? "";
  comic.value = given.get("comic") ?? "";
  for (const shelf of shelves) shelf.value = given.get(shelf.name) ?? "";
  form.elements.kind.value = given.get("kind") === "page" ? "page" : "panel";
  panel = /^\d+$/.test(given.get("panel") ?? "") ? Number(given.get("panel")) : null;
  picture = null;
  showChip();
}
function toAddress() {
  const said = new URLSearchParams();
  if (words.value.trim()) said.set("q", words.value.trim());
  if (panel) said.set("panel", panel);
  if (comic.value) said.set("comic", comic.value);
  for (const shelf of shelves) if (shelf.value) said.set(shelf.name, shelf.value);
  if (kind() === "page") said.set("kind", "page");
  const address = `/ui/search${said.size ? `?${said}` : ""}`;
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
}

function showChip() {
  const image = chip.querySelector("img");
  if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  chip.hidden = !panel && !picture;
  if (picture) image.src = URL.createObjectURL(picture);
  else if (panel) image.src = `/panels/${panel}/image?width=160`;
  else image.removeAttribute("src");
  const place = asked && Number(asked.dataset.panel) === panel ? asked.textContent : "";
  chip.querySelector("span").textContent = picture ? picture.name || "your picture" : place || `panel ${panel}`;
  words.placeholder = chip.hidden ? "What is said or seen: map and compass" : "and these words (optional)";
}

function told(text, bad = false) {
  summary.replaceChildren(text);
  summary.classList.toggle("bad", bad);
}

async function search() {
  running?.abort();
  const said = words.value.trim();
  if (!said && !panel && !picture) {
    results.replaceChildren();
    hint.hidden = false;
    told("");
    return;
  }
  const filters = { kind: kind(), comics: comic.value ? [Number(comic.value)] : [] };
  for (const shelf of shelves) filters[`${shelf.name}s`] = shelf.value ? [shelf.value.trim()] : []; // a space asks for those in none
  const options = { method: "POST" };
  if (picture) {
    options.body = new FormData();
    options.body.set("image", picture);
    if (said) options.body.set("words", said);
    options.body.set("filters", JSON.stringify(filters));
    options.body.set("limit", String(LIMIT));
  } else {
    const wanted = { filters, limit: LIMIT };
    if (said) wanted.words = said;
    if (panel) wanted.panel_id = panel;
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(wanted);
  }
  running = new AbortController();
  options.signal = running.signal;
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await ask("/search", options);
    draw(answer);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refused)) throw error;
    hint.hidden = true;
    told("");
    results.replaceChildren(nothing("This could not be searched", error.message));
  }
  results.setAttribute("aria-busy", "false");
}

const nothing = (title, text) => h("div.empty", { role: "alert" }, h("h2", {}, title), h("p", {}, bdi(text)));

function draw(answer) {
  hint.hidden = true;
  const count = answer.hits.length;
  const by = { words: "words", image: "your picture", panel: "a panel", "panel and words": "panel and words", "image and words": "picture and words" };
  told(`${count === LIMIT ? `the best ${LIMIT}` : count} ${count === 1 ? "result" : "results"} by ${by[answer.by]} in ${answer.milliseconds.toFixed(answer.milliseconds < 10 ? 1 : 0)} ms`);
  if (!count) {
    const advice = answer.by === "words" ? "Nobody says that here. Fewer or other words may be said, or the comic is still being read." : "Nothing here is like it yet.";
    results.replaceChildren(nothing("Nothing found", advice));
    return;
  }
  const alike = (found) => answer.by === "words" && found.why === "alike";
  results.replaceChildren(...answer.hits.map((found) => hit(found, alike(found))));
}

/* `alike`: the words are not written in it, it is only like them. */
function hit(found, alike) {
  const ratio = found.box ? found.box[2] / found.box[3] : 0.72;
  const place = `page ${found.page_number + 1}`;
  const address = new URL(found.panel_image ?? found.page_image, location);
  address.searchParams.set("width", LOOK);
  const image = h("img", { src: address.href, alt: "", loading: "lazy", decoding: "async" });
  const link = h(
    "a",
    { href: `/ui/pages/${found.page_id}${found.panel_id ? `#panel-${found.panel_id}` : ""}` },
    h("span.hit-picture", {}, image),
    found.text.trim() ? h("span.hit-words", {}, bdi(found.text)) : null,
    h("span.hit-facts", {}, bdi(found.comic), h("span", {}, place), alike ? h("span", {}, "alike") : null, h("span.num", { title: "score" }, found.score.toFixed(found.score < 0.1 ? 3 : 2))),
  );
  const made = h("article.hit", {}, link);
  // A very tall or wide panel is shown whole in a frame that keeps the rows even.
  const frame = Math.min(3.2, Math.max(0.78, ratio));
  made.classList.toggle("framed", frame !== ratio);
  made.style.setProperty("--ratio", frame.toFixed(3));
  if (found.panel_id) {
    const alike = h("a.button.hit-alike", { href: `/ui/search?panel=${found.panel_id}`, title: "More like this" }, icon("alike"), h("span", {}, "More like this"));
    alike.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      panel = found.panel_id;
      picture = null;
      words.value = "";
      showChip();
      chip.querySelector("span").textContent = `${found.comic}, ${place}`;
      go();
      scrollTo({ top: 0 });
    });
    made.append(alike);
  }
  return made;
}

function go() {
  toAddress();
  search();
}

function look(file) {
  if (!file) return;
  picture = file;
  panel = null;
  showChip();
  go();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go();
});
form.addEventListener("change", (event) => {
  if (event.target === comic || shelves.includes(event.target) || event.target.name === "kind") go();
});
words.addEventListener("search", () => words.value || go());
chip.querySelector("button").addEventListener("click", () => {
  panel = picture = null;
  showChip();
  words.focus();
  go();
});
document.getElementById("image").addEventListener("change", (event) => {
  look(event.target.files[0]);
  event.target.value = "";
});
addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
  if (file) {
    event.preventDefault();
    look(file);
  }
});
onDrop((files) => look(files[0]));
addEventListener("popstate", () => {
  fromAddress();
  search();
});
fromAddress();
search();
if (!location.search) words.focus();
