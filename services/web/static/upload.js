// Adding comics: files dropped anywhere or chosen, sent one after the other, each with its own progress.
import { changed, watch } from "./app.js";
import { bdi, h, onDrop } from "./dom.js";

const box = document.getElementById("uploads");
const list = box.querySelector("ul");
const words = document.getElementById("uploads-words");
const limit = Number(document.body.dataset.uploadLimit);
const suffixes = document.body.dataset.suffixes.split(" ");
const formats = suffixes.map((suffix) => suffix.slice(1).toUpperCase()).join(", ");
const waiting = [];
let sending = 0;
const AT_ONCE = 2;
const counts = { added: 0, known: 0, failed: 0 };

function summary() {
  const left = waiting.length + sending;
  const said = [];
  if (left) said.push(`Adding ${left} ${left === 1 ? "file" : "files"}`);
  if (counts.added) said.push(`${counts.added} added`);
  if (counts.known) said.push(`${counts.known} here already`);
  if (counts.failed) said.push(`${counts.failed} refused`);
  words.textContent = said.join(" · ");
}

function add(files) {
  for (const file of files) {
    const said = h("span.said", {}, "waits");
    const bar = h("progress", { max: file.size || 1, value: 0, "aria-label": `Upload of ${file.name}` });
    const line = h("li", {}, h("span.name", {}, bdi(file.name)), said, bar);
    list.append(line);
    const upload = { file, said, bar, line };
    if (!suffixes.some((suffix) => file.name.toLowerCase().endsWith(suffix))) refuse(upload, `Not a comic this program opens; it opens ${formats}.`);
    else if (file.size > limit) refuse(upload, "Larger than this installation takes.");
    else waiting.push(upload);
  }
  box.hidden = false;
  next();
}

function next() {
  while (sending < AT_ONCE && waiting.length) send(waiting.shift());
  summary();
}

function refuse(upload, reason) {
  counts.failed += 1;
  upload.said.textContent = reason;
  upload.said.classList.add("bad");
  upload.bar.remove();
  list.prepend(upload.line); // where it is seen, however many others go well
}

// XMLHttpRequest, because fetch does not tell how much was sent.
function send(upload) {
  sending += 1;
  const request = new XMLHttpRequest();
  request.open("POST", `/comics?filename=${encodeURIComponent(upload.file.name)}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.responseType = "json";
  request.upload.onprogress = (event) => {
    upload.bar.value = event.loaded;
    upload.said.textContent = event.loaded < event.total ? `${Math.floor((100 * event.loaded) / event.total)} %` : "checking";
  };
  request.onload = () => ended(upload, request);
  request.onerror = () => ended(upload, request);
  request.send(upload.file);
}

function ended(upload, request) {
  sending -= 1;
  const comic = request.response;
  if (request.status === 202 || request.status === 200) {
    const known = request.status === 200;
    counts[known ? "known" : "added"] += 1;
    upload.bar.remove();
    upload.said.classList.add("good");
    upload.said.replaceChildren(known ? "here already: " : "added: ", h("a", { href: `/ui/comics/${comic.id}` }, bdi(comic.title)));
    if (!known) place(comic.id);
    watch();
  } else if (request.status === 401) {
    location.assign("/ui/login");
  } else {
    refuse(upload, comic?.detail ?? "The connection broke; send it again.");
  }
  next();
}

function place(id) {
  if (document.getElementById("comics")) {
    window.htmx.ajax("GET", `/ui/cards?ids=${id}&new=1`, { target: "#comics", swap: "afterbegin" });
    const everything = document.getElementById("everything");
    if (everything) everything.textContent = String(Number(everything.textContent.replace(/\D/g, "")) + 1);
  } else {
    window.htmx.ajax("GET", location.href, { target: "#shelf", select: "#shelf", swap: "outerHTML" });
  }
  changed();
}

document.getElementById("files").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = "";
});
document.getElementById("uploads-close").addEventListener("click", () => {
  box.hidden = true;
  list.replaceChildren();
  Object.keys(counts).forEach((name) => (counts[name] = 0));
});
onDrop(add);
addEventListener("beforeunload", (event) => {
  if (sending || waiting.length) event.preventDefault();
});
