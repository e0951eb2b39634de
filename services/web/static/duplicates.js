// Duplicates: the REST's groups side by side, what differs between their members, and a person's decisions.
import { ask, bdi, h, icon, Refused, say, tell, typing } from "./dom.js";

const box = document.getElementById("groups");
const more = document.getElementById("more");
const { kind, state } = box.dataset;
const SLICE = 20; // groups asked for at once
const WIDTH = { comic: 320, page: 640, bytes: 160 }; // pixels of a picture across
const shown = new Map(); // element of a group -> the group

const pixels = (one) => (one.width ? `${one.width} × ${one.height}` : "unknown");
const shelf = (one) => [one.source, one.collection].filter(Boolean).join(", ");
const day = (one) => new Date(one.added_at).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
function bytes(amount) {
  let unit = 0;
  for (; amount >= 1000 && unit < 4; unit += 1) amount /= 1000;
  return `${amount.toFixed(unit && amount < 10 ? 1 : 0)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

/* What is said of each member, in the same order; what is the same for all is said softly. */
const FACTS = {
  comic: [
    ["Pages", (one) => `${one.pages ?? "?"}${one.unreadable ? `, ${one.unreadable} unreadable` : ""}`],
    ["Pixels", pixels],
    ["Size", (one) => bytes(one.size)],
    ["Source", shelf],
    ["File", (one) => one.file_name],
    ["Added", day],
  ],
  page: [
    ["Pixels", pixels],
    ["Source", shelf],
    ["File", (one) => `${one.file_name}, ${bytes(one.size)}`],
    ["Added", day],
  ],
  bytes: [],
};

function facts(member, members) {
  const rows = FACTS[kind].map(([label, value]) => {
    const differs = members.some((other) => value(other) !== value(member));
    return h(differs ? "div.differs" : "div", {}, h("dt", {}, label), h("dd", { title: value(member) }, bdi(value(member))));
  });
  return h("dl.facts-of", {}, ...rows);
}

function picture(member) {
  const place = kind === "page" ? `/ui/pages/${member.id}` : `/ui/comics/${member.comic_id}`;
  const name = kind === "page" ? `${member.title}, page ${member.page_number + 1}` : member.title;
  const image = member.image ? h("img", { src: `${member.image}?width=${WIDTH[kind]}`, alt: "", loading: "lazy", decoding: "async" }) : null;
  return h("a", { href: place, "aria-label": `Look at ${name}` }, h("span.cover", {}, image));
}

function name(member) {
  if (kind === "bytes") return h("p.member-name", {}, h("code", {}, bdi(member.location)));
  const page = kind === "page" ? h("small", {}, `page ${member.page_number + 1}`) : null;
  return h("p.member-name", {}, bdi(member.title), page);
}

/* One of a group. A group that was decided still lets somebody else be kept. */
function member(group, one) {
  const kept = one.id === group.keep;
  const open = group.state === "open";
  const others = group.members.length === 2 ? "the other" : "the others";
  const verb = kind === "bytes" ? "Keep this place" : `Keep this, hide ${others}`;
  const keep = h(kept ? "button.primary" : "button", { type: "button" }, open ? verb : "Keep this instead");
  keep.dataset.keep = one.id;
  const hidden = kind === "bytes" ? "a known copy" : "hidden";
  const said = [];
  if (one.hidden) said.push(h("span.tag", {}, hidden));
  else if (kept) said.push(h(open ? "span.tag.live" : "span.tag.good", {}, open ? "suggested" : "kept"));
  if (kept) said.push(h("small", {}, group.why));
  const actions = open || (group.keep !== null && (one.hidden || !kept)) ? keep : null;
  return h(one.hidden ? "li.member.aside" : "li.member", {}, kind === "bytes" ? null : picture(one), name(one), facts(one, group.members), h("p.member-why", {}, ...said), h("p.member-acts", {}, actions));
}

function button(words, shape, act) {
  const made = h("button", { type: "button" }, shape ? icon(shape) : null, words);
  made.dataset.act = act;
  return made;
}

/* `told`: what was decided just now. */
function draw(element, group, told = null) {
  const head = h("div.group-head", {}, h("h2", {}, bdi(group.members[0].title)));
  const count = group.count > group.members.length ? `${group.members.length} of ${group.count}` : group.count;
  const noun = { comic: "comics", page: "pages", bytes: "places" }[kind];
  head.append(h("span.faint.num", {}, kind === "bytes" ? `${count} ${noun}` : `${count} ${noun}, ${Math.floor(100 * group.score)} % alike`));
  const acts = h("span.group-acts", { role: "status" });
  if (told) acts.append(h("span.word.good", {}, icon("check"), told), button("Undo", "undo", "undo"));
  else if (group.state !== "open") acts.append(button("Undo", "undo", "undo"));
  else if (kind !== "bytes") acts.append(button("Not duplicates", null, "distinct"));
  head.append(acts);
  if (kind === "bytes") head.prepend(picture(group.members[0]));
  const members = h("ul.members", {}, ...group.members.map((one) => member(group, one)));
  element.replaceChildren(head, members);
  element.classList.toggle("settled", Boolean(told));
  element.setAttribute("aria-label", group.members[0].title);
  shown.set(element, group);
}

/* What a decision makes of a group, as the server would tell it. */
const DECISIONS = {
  keep(group, id) {
    const hide = group.members.filter((one) => one.id !== id).map((one) => one.id);
    const kept = { ...group, state: "decided", keep: id, why: "was kept by a person", members: group.members.map((one) => ({ ...one, hidden: one.id !== id })) };
    const words = kind === "bytes" ? "Kept this place" : `Kept one, hid ${hide.length === 1 ? "the other" : hide.length}`;
    return [{ keep: id, hide }, kept, words];
  },
  distinct(group) {
    const ids = group.members.map((one) => one.id);
    return [{ distinct: ids }, { ...group, state: "distinct", keep: null, members: group.members.map((one) => ({ ...one, hidden: false })) }, "Not duplicates"];
  },
};

async function decide(element, act, id) {
  const group = shown.get(element);
  if (element.getAttribute("aria-busy") === "true") return;
  element.setAttribute("aria-busy", "true");
  try {
    if (act === "undo") {
      await tell("/duplicates/decisions", { kind, undo: group.members.map((one) => one.id) });
      const fresh = await freshly(group);
      draw(element, fresh ?? { ...group, state: "open", keep: group.keep ?? group.members[0].id, members: group.members.map((one) => ({ ...one, hidden: false })) });
    } else {
      const [body, after, words] = DECISIONS[act](group, id);
      await tell("/duplicates/decisions", { kind, ...body });
      draw(element, after, words);
    }
    element.focus({ preventScroll: true });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message, { bad: true });
  } finally {
    element.removeAttribute("aria-busy");
  }
}

/* A group as the server has it now, whose suggestion may be another one. */
async function freshly(group) {
  const lowest = Number(group.id.split("-")[1]);
  const found = await ask(`/duplicates?kind=${kind}&after=${lowest - 1}&limit=1`);
  return found.items.find((one) => one.id === group.id) ?? null;
}

box.addEventListener("click", (event) => {
  const pressed = event.target.closest("button");
  const element = event.target.closest(".group");
  if (!pressed || !element) return;
  if (pressed.dataset.keep) decide(element, "keep", Number(pressed.dataset.keep));
  else decide(element, pressed.dataset.act);
});

/* Keys: from group to group, and what to do with the one that has the focus. */
addEventListener("keydown", (event) => {
  if (typing(event) || event.shiftKey) return;
  const groups = [...box.children];
  const here = document.activeElement?.closest(".group");
  if (event.key === "j" || event.key === "k") {
    const goal = groups[here ? groups.indexOf(here) + (event.key === "j" ? 1 : -1) : 0];
    goal?.focus({ preventScroll: true });
    goal?.scrollIntoView({ block: "start" });
    return;
  }
  const group = here && shown.get(here);
  if (!group) return;
  const chosen = /^[1-9]$/.test(event.key) ? group.members[Number(event.key) - 1] : null;
  if (chosen && group.state === "open") decide(here, "keep", chosen.id);
  else if (event.key === "n" && group.state === "open" && kind !== "bytes") decide(here, "distinct");
  else if (event.key === "u" && group.state !== "open") decide(here, "undo");
});

async function load(after) {
  box.setAttribute("aria-busy", "true");
  more.hidden = true;
  try {
    // A slice may be empty and yet not be the last one.
    for (let found; after !== null && !found?.items.length; after = found.next) {
      found = await ask(`/duplicates?kind=${kind}&state=${state}&after=${after}&limit=${SLICE}`);
      for (const group of found.items) {
        const element = h("article.group", { tabIndex: -1 });
        if (kind === "bytes") element.classList.add("places");
        draw(element, group);
        box.append(element);
      }
    }
    more.hidden = after === null;
    if (after !== null) more.firstElementChild.onclick = () => load(after);
    document.getElementById("none").hidden = box.hasChildNodes();
    document.getElementById("keys").hidden = !box.hasChildNodes();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message, { bad: true });
  } finally {
    box.setAttribute("aria-busy", "false");
  }
}

load(0);
