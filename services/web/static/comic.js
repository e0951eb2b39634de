// A comic: saying what it is, and removing it.
import { changed } from "./app.js";
import { ask, Refused, sayNext, tell } from "./dom.js";

const form = () => document.getElementById("edits");
const editing = () => form() !== null && !form().hidden;

function show(edited) {
  form().hidden = !edited;
  document.getElementById("known").hidden = edited;
  document.getElementById("edit").setAttribute("aria-expanded", String(edited));
  if (edited) form().elements[0].focus();
  else document.getElementById("edit").focus();
}

function close() {
  form().reset();
  form().querySelector(".form-error").hidden = true;
  show(false);
  changed();
}

/* What is being typed is not taken away by work that goes on. */
document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "live" && (editing() || document.querySelector("dialog[open]"))) event.preventDefault();
});
/* Details that were opened stay open. */
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target.id !== "live") return;
  const open = document.getElementById("more-said")?.open ?? false;
  document.body.addEventListener("htmx:afterSwap", () => document.getElementById("more-said")?.toggleAttribute("open", open), { once: true });
});

/* Only what was changed is sent; an emptied field is taken back. */
function changes() {
  const said = {};
  for (const field of form().elements) {
    if (!field.name) continue;
    const before = field.tagName === "SELECT" ? ([...field.options].find((option) => option.defaultSelected)?.value ?? "") : field.defaultValue;
    const value = field.value.trim();
    if (value !== before) said[field.name] = value === "" ? null : field.dataset.as === "number" ? Number(value) : value;
  }
  return said;
}

async function save(said) {
  const complaint = form().querySelector(".form-error");
  try {
    if (Object.keys(said).length) await tell(`/comics/${form().dataset.comic}`, said, "PATCH");
    close();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    complaint.textContent = error.message;
    complaint.hidden = false;
  }
}

async function remove(dialog) {
  const button = document.getElementById("removal-go");
  const complaint = dialog.querySelector(".form-error");
  button.disabled = true;
  complaint.hidden = true;
  try {
    const gone = await ask(`/comics/${dialog.dataset.comic}`, { method: "DELETE" });
    sayNext(`Removed “${gone.title}”.`);
    location.assign("/ui/");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    complaint.textContent = error.message;
    complaint.hidden = false;
    button.disabled = false;
  }
}

addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (!button) return;
  const dialog = document.getElementById("removal");
  if (button.id === "edit") show(true);
  else if (button.id === "edit-cancel") close();
  else if (button.dataset.back) save({ [button.dataset.back]: null });
  else if (button.id === "remove") dialog.showModal();
  else if (button.id === "removal-keep") dialog.close();
  else if (button.id === "removal-go") remove(dialog);
});
addEventListener("submit", (event) => {
  if (event.target !== form()) return;
  event.preventDefault();
  save(changes());
});
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && editing() && form().contains(event.target)) close();
});
