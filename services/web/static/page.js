// A page: panel and text point at each other, keys turn pages, and a panel tells where it comes from.
import { ask, bdi, h, Refused, say, typing } from "./dom.js";

const overlay = document.getElementById("overlay");

function light(id) {
  for (const element of document.querySelectorAll("[data-panel]")) {
    element.classList.toggle("on", element.dataset.panel === id);
  }
}

const panelOf = (target) => target.closest?.("[data-panel]")?.dataset.panel ?? null;
addEventListener("pointerover", (event) => light(panelOf(event.target)));
addEventListener("focusin", (event) => light(panelOf(event.target)));
addEventListener("click", (event) => {
  const zone = event.target.closest?.(".zone");
  if (!zone) return;
  event.preventDefault();
  const told = document.getElementById(`panel-${zone.dataset.panel}`);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  told.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
  told.focus({ preventScroll: true });
});

function showPanels(shown) {
  overlay.setAttribute("aria-pressed", String(shown));
  document.body.classList.toggle("plain", !shown);
}
overlay.addEventListener("click", () => {
  const shown = overlay.getAttribute("aria-pressed") !== "true";
  showPanels(shown);
  try {
    localStorage.setItem("panels", shown ? "shown" : "hidden");
  } catch {
    // Forbidden storage: the choice lasts as long as the page.
  }
});
try {
  showPanels(localStorage.getItem("panels") !== "hidden");
} catch {
  showPanels(true);
}

addEventListener("keydown", (event) => {
  if (typing(event) || event.shiftKey || document.body.classList.contains("correcting")) return;
  if (event.key === "o") overlay.click();
  const side = { ArrowLeft: "left", ArrowRight: "right" }[event.key];
  if (side) document.getElementById(`turn-${side}`)?.click();
});
for (const link of document.querySelectorAll(".pager a[data-image]")) {
  // The neighbours' pictures are ready before they are asked for.
  addEventListener("load", () => setTimeout(() => (new Image().src = `/images/${link.dataset.image}`), 300), { once: true });
}

/* Provenance: the answer as a readable list. */
const job = (found) => (found ? `job ${found.id}, stage ${found.stage}${found.attempt > 1 ? `, attempt ${found.attempt}` : ""}` : null);
function origin(told) {
  const asked = told.vlm_model !== null;
  return [
    ["File", told.file_name],
    ["Page", `${told.page_number + 1} (${told.page_name})`],
    ["Picture", `sha256 ${told.image_sha256.slice(0, 16)}…`],
    ["Panel found by", told.layout_source === "model" ? "the detector" : `a${told.layout_source === "import" ? "n import" : " person"}`],
    ["Detector", told.detector && `sha256 ${told.detector.slice(0, 16)}…`],
    ["", job(told.layout_job)],
    ["Score", told.panel.score.toFixed(3)],
    ["Words read by", told.ocr_model],
    ["", job(told.ocr_job)],
    ["Described by", asked ? [told.vlm_model, told.vlm_provider].filter(Boolean).join(" at ") : "nobody: no vision model was asked"],
    ["", job(told.vlm_job)],
    ["Cost", asked ? (told.vlm_cost === null ? "unknown" : `$${told.vlm_cost} for the page`) : null],
    ["Put together by", job(told.text_job)],
  ].filter(([, value]) => value);
}
addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-provenance]");
  if (!button) return;
  const box = document.getElementById(button.getAttribute("aria-controls"));
  const shown = button.getAttribute("aria-expanded") === "true";
  try {
    if (!shown && !box.hasChildNodes()) {
      const told = await ask(`/panels/${button.dataset.provenance}/provenance`);
      box.append(...origin(told).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, bdi(value)))));
    }
    box.hidden = shown;
    button.setAttribute("aria-expanded", String(!shown));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message, { bad: true });
  }
});
