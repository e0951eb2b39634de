// Small tools of every screen. Data becomes text nodes and properties, never HTML.

/** An element: `h("a.big", {href: "/"}, "text", child)`. Names with a dash become attributes, the rest properties. */
export function h(kind, properties = {}, ...children) {
  const [name, ...classes] = kind.split(".");
  const made = document.createElement(name);
  made.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Text that keeps its own direction, whatever script it is in. */
export const bdi = (text) => h("bdi", {}, String(text));

/** One of the outlines that the page already holds, or nothing. */
export function icon(name) {
  const shapes = {
    check: "M5 12.500l4.500 4.500L19 7.500",
    close: "M6 6l12 12M18 6 6 18",
    hide: "M4 4l16 16M9.700 6a8.700 8.700 0 0 1 2.300-.5C18 5.500 21.500 12 21.500 12a16 16 0 0 1-2.700 3.300M6.200 8.100A15 15 0 0 0 2.500 12S6 18.500 12 18.500a9 9 0 0 0 3.600-.800",
    star: "M12 4l2.400 5.100 5.600.700-4.100 3.900 1.100 5.500L12 16.500 7 19.200l1.100-5.500L4 9.800l5.600-.7z",
    undo: "M8.500 5 4 9.500 8.500 14M4.500 9.500H14a5.200 5.200 0 0 1 0 10.400H9",
    alike: "M4 4h9v9H4zM11 17.500V20h9v-9h-2.500",
  };
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  made.setAttribute("viewBox", "0 0 24 24");
  made.setAttribute("class", "icon");
  made.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", shapes[name]);
  made.append(path);
  return made;
}

/** What the server refused, in its own words. */
export class Refused extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

/** The JSON answer of our REST; throws `Refused` with the problem's detail. */
export async function ask(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer. Is it running?");
  }
  if (answer.status === 401) {
    location.assign(`/ui/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  const json = (answer.headers.get("content-type") ?? "").includes("json");
  const body = json ? await answer.json() : null;
  if (!answer.ok) throw new Refused(answer.status, body?.detail ?? `The server answered ${answer.status}.`);
  return body;
}

/** The same with a JSON body, or without one. */
export function tell(address, body, method = "POST") {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  return ask(address, options);
}

/** Say something at the edge of the screen; errors stay until they are dismissed. */
export function say(words, { bad = false } = {}) {
  const close = h("button", { type: "button", "aria-label": "Dismiss" }, icon("close"));
  const toast = h(bad ? "div.toast.bad" : "div.toast", {}, h("span", {}, words), close);
  close.addEventListener("click", () => toast.remove());
  document.getElementById("toasts").append(toast);
  if (!bad) setTimeout(() => toast.remove(), 5000);
}

/** Say it on the screen that is shown next. */
export function sayNext(words) {
  try {
    sessionStorage.setItem("said", words);
  } catch {
    // Forbidden storage: it stays unsaid.
  }
}

/** Whether a key press is meant for the field it happens in. */
export const typing = (event) =>
  event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select, [contenteditable]");

/** Files dragged anywhere over the page: shows the `.dropping` sheet, calls `dropped(files)`. */
export function onDrop(dropped) {
  const sheet = document.querySelector(".dropping");
  let depth = 0;
  const files = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (!files(event)) return;
    depth += 1;
    sheet.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!files(event)) return;
    depth -= 1;
    if (depth <= 0) sheet.hidden = true;
  });
  addEventListener("dragover", (event) => files(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    depth = 0;
    sheet.hidden = true;
    dropped([...event.dataTransfer.files]);
  });
}
