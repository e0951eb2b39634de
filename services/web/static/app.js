// On every screen: colours, keys, what buttons and forms send to the REST, and the live view of the work.
import { ask, Refused, say, tell, typing } from "./dom.js";

const root = document.documentElement;

/* Colours: as the system, light, dark; remembered. */
const theme = document.getElementById("theme");
const THEMES = { auto: "as the system", light: "light", dark: "dark" };
function named() {
  theme.setAttribute("aria-label", `Colours: ${THEMES[root.dataset.theme ?? "auto"]}`);
  theme.title = theme.getAttribute("aria-label");
}
theme?.addEventListener("click", () => {
  const order = Object.keys(THEMES);
  const next = order[(order.indexOf(root.dataset.theme ?? "auto") + 1) % order.length];
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // Forbidden storage: the choice lasts as long as the page.
  }
  named();
  dispatchEvent(new Event("themechange"));
});
if (theme) named();

/* "/" leads to the search from everywhere. */
addEventListener("keydown", (event) => {
  if (event.key !== "/" || typing(event)) return;
  event.preventDefault();
  const words = document.getElementById("words");
  if (words) words.select();
  else location.assign("/ui/search");
});

/* Something changed: every part of the page that shows it asks for itself again. */
export function changed() {
  document.body.dispatchEvent(new Event("changed"));
}

/* What the screen before had to say. */
try {
  const said = sessionStorage.getItem("said");
  sessionStorage.removeItem("said");
  if (said) say(said);
} catch {
  // Forbidden storage: nothing was left there.
}

/* Buttons: data-post="ADDRESS" or data-patch="ADDRESS", data-body (JSON), data-post-each="1,2,3" (jobs), data-confirm,
   data-said. */
addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post], button[data-patch], button[data-post-each]");
  if (!button || button.disabled) return;
  if (button.dataset.confirm && !confirm(button.dataset.confirm)) return;
  button.disabled = true;
  try {
    const body = button.dataset.body && JSON.parse(button.dataset.body);
    if (button.dataset.patch) await tell(button.dataset.patch, body, "PATCH");
    else if (button.dataset.post) await tell(button.dataset.post, body);
    else await Promise.all(button.dataset.postEach.split(",").map((job) => again(job)));
    if (button.dataset.said) say(button.dataset.said);
    document.body.dispatchEvent(new Event("acted")); // for what need not follow the work of others
    changed();
    watch();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message, { bad: true });
  } finally {
    button.disabled = false;
  }
});

async function again(job) {
  try {
    await tell(`/jobs/${Number(job)}/retry`);
  } catch (error) {
    // Somebody else was quicker: the job waits or runs already, which is what was wanted.
    if (!(error instanceof Refused && error.status === 404)) throw error;
  }
}

/* Forms: data-api="ADDRESS" takes the fields as JSON; a dot in a name nests; data-then names where to go. */
addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-api]");
  if (!form) return;
  event.preventDefault();
  const complaint = form.querySelector(".form-error");
  const button = form.querySelector("[type=submit]");
  complaint.hidden = true;
  button.disabled = true;
  try {
    const made = await tell(form.dataset.api, fieldsOf(form));
    location.assign(form.dataset.then.replace("{id}", encodeURIComponent(made.id)));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    complaint.textContent = error.message;
    complaint.hidden = false;
  } finally {
    button.disabled = false;
  }
});

const READ = {
  number: (field) => Number(field.value),
  percent: (field) => Number(field.value) / 100,
  numbers: (field) => [...field.selectedOptions].map((option) => Number(option.value)),
  names: (field) => [...field.selectedOptions].map((option) => option.value.trim()),
};

function fieldsOf(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || (field.type === "radio" && !field.checked)) continue;
    const path = field.name.split(".");
    const last = path.pop();
    const inner = path.reduce((whole, part) => (whole[part] ??= {}), body);
    inner[last] = (READ[field.dataset.as] ?? (() => field.value))(field);
  }
  return body;
}

/* The work, live: one stream of events while the page is looked at; asked again now and then when all is done. */
const EVERYTHING = "/status/events";
const IDLE = 6000; // milliseconds between looks when nothing is going on
const CALM = 700; // at most one refresh of the page in this time
const own = document.body.dataset.events;
let streams = [];
let later = null;
let last = 0;
let due = null;

function refreshSoon() {
  if (due !== null) return;
  due = setTimeout(() => {
    due = null;
    last = performance.now();
    changed();
    refreshCards();
  }, Math.max(0, CALM - (performance.now() - last)));
}

/* Cards of comics that are being worked on are replaced one by one, in one request. */
function refreshCards() {
  const ids = [...document.querySelectorAll("[data-busy]")].map((card) => card.dataset.busy).slice(0, 200);
  if (ids.length) window.htmx?.ajax("GET", `/ui/cards?ids=${ids.join(",")}`, { swap: "none" });
}

const pulse = document.getElementById("pulse");
function show(progress) {
  if (!pulse) return;
  const left = progress.total - progress.ended;
  pulse.hidden = progress.finished && !progress.failed;
  pulse.querySelector("progress").value = progress.total ? progress.ended / progress.total : 1;
  pulse.querySelector("progress").hidden = progress.finished;
  pulse.querySelector(".pulse-words").textContent = progress.finished
    ? `${progress.failed.toLocaleString("en")} failed`
    : `Working: ${left.toLocaleString("en")} to do`;
}

let before = "";
function open(address) {
  const stream = new EventSource(address);
  stream.onmessage = (event) => {
    const progress = JSON.parse(event.data);
    if (address === EVERYTHING) show(progress);
    if (address === own && event.data !== before) {
      if (before) refreshSoon();
      before = event.data;
    }
    if (progress.finished) {
      stream.close();
      streams = streams.filter((one) => one !== stream);
      if (!streams.length) rest();
    }
  };
  stream.onerror = () => {
    // A server that is starting again: the browser would try for ever and at once; we try calmly.
    stream.close();
    streams = streams.filter((one) => one !== stream);
    if (!streams.length) rest();
  };
  streams.push(stream);
}

function rest() {
  clearTimeout(later);
  if (!document.hidden) later = setTimeout(watch, IDLE);
}

/** Look at the work now. */
export function watch() {
  hush();
  for (const address of new Set([EVERYTHING, own].filter(Boolean))) open(address);
}

function hush() {
  clearTimeout(later);
  for (const stream of streams) stream.close();
  streams = [];
}

if (pulse) {
  document.addEventListener("visibilitychange", () => (document.hidden ? hush() : watch()));
  addEventListener("pagehide", hush);
  addEventListener("pageshow", (event) => event.persisted && watch());
  watch();
}

/* A promotion moves on without an event of its own. */
setInterval(() => !document.hidden && document.querySelector("[data-poll]") && changed(), 1500);

/* Somebody was signed out meanwhile. */
document.body.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status === 401) ask("/status").catch(() => {});
});
