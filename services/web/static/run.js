// A run's curves, as its events come.
import { changed } from "./app.js";
import { h } from "./dom.js";

const { default: UPlot } = await import(document.querySelector("script[data-uplot]").dataset.uplot);
const run = document.body.dataset.run;
const COLOURS = ["#6b63e0", "#d9822b", "#26a269", "#d6558c", "#3b9ae1", "#a58a2a", "#b07be8", "#7d8b99", "#e05a47", "#2aa7a0", "#8a9a3b", "#c77fb5"];
const points = { train: [], held_out: [] };
const boxes = { train: document.getElementById("plot-train"), held_out: document.getElementById("plot-held") };
const plots = {};
const height = 250;

const ink = (name) => getComputedStyle(document.body).getPropertyValue(name);
/* light-dark() is resolved only where it is used: ask an element that uses it. */
function colour(name) {
  const probe = h("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found || ink(name);
}

const spoken = (name) => name.replace(/_r1$/, "").replaceAll("_", " ");
const reference = (name) => name.endsWith("_chance");

/* Of the measures, those at the first rank; each followed by its chance. The table has the others. */
function recalls(given) {
  const main = given.filter((name) => !/(_r10|_chance|_geometric|_neighbours)$/.test(name)).sort();
  return main.flatMap((name) => (given.includes(`${name}_chance`) ? [name, `${name}_chance`] : [name]));
}

/* While nothing is pointed at, the legend tells the newest values. */
const newest = (plot) => plot.setLegend({ idx: plot.data[0].length - 1 });

function drawn(which) {
  const box = boxes[which];
  const all = points[which];
  const held = which === "held_out";
  if (!all.length) {
    if (!box.firstChild) box.replaceChildren(h("p.plot-none", {}, held ? "The first measure comes after the first epoch" : "The first losses come after a few steps"));
    return;
  }
  const given = [...new Set(all.flatMap((point) => Object.keys(point.values)))];
  const names = held ? recalls(given) : given.filter((name) => name !== "rate").sort((one, other) => (other === "loss") - (one === "loss"));
  const data = [all.map((point) => point.step), ...names.map((name) => all.map((point) => point.values[name] ?? null))];
  const key = names.join("|");
  if (plots[which]?.key === key) {
    plots[which].plot.setData(data);
    newest(plots[which].plot);
    return;
  }
  const line = colour("--line");
  const soft = colour("--soft");
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: soft, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
  const main = names.filter((name) => !reference(name));
  const hue = (name) => COLOURS[main.indexOf(name.replace(/_chance$/, "")) % COLOURS.length];
  const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);
  const number = (value) => (value === null || value === undefined ? "–" : value.toPrecision(3));
  plots[which]?.plot.destroy();
  box.replaceChildren();
  const options = {
    width: box.clientWidth,
    height,
    cursor: { points: { size: 7 } },
    scales: { x: { time: false }, y: held ? { range: [0, 1] } : {} },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? String(tick) : "")) },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => (held ? `${Math.round(100 * tick)} %` : String(Number(tick.toPrecision(3))))) },
    ],
    series: [
      { label: "step" },
      ...names.map((name) => ({
        label: spoken(name),
        class: reference(name) ? "u-reference" : "u-curve",
        stroke: hue(name),
        width: reference(name) ? 1 : held || name === "loss" ? 2 : 1.25,
        dash: reference(name) ? [3, 4] : undefined,
        spanGaps: true,
        points: { show: held && !reference(name), size: 5 },
        value: (_, value) => (held ? percent(value) : number(value)),
      })),
    ],
    hooks: {
      setCursor: [(plot) => plot.cursor.left < 0 && newest(plot)],
      // A curve and its chance are hidden together.
      setSeries: [
        (plot, index, change) => {
          const partner = names.indexOf(`${names[index - 1]}_chance`);
          if (change.show !== undefined && partner >= 0 && plot.series[partner + 1].show !== change.show) plot.setSeries(partner + 1, { show: change.show });
        },
      ],
    },
  };
  plots[which] = { key, plot: new UPlot(options, data, box) };
  newest(plots[which].plot);
}

function draw() {
  drawn("train");
  drawn("held_out");
}

function follow() {
  const seen = Math.max(0, ...Object.values(points).flat().map((point) => point.id));
  const stream = new EventSource(`/runs/${run}/events?after=${seen}`);
  let state = null;
  stream.onmessage = (event) => {
    const news = JSON.parse(event.data);
    const known = new Set(Object.values(points).flat().map((point) => point.id));
    for (const point of news.points) if (!known.has(point.id)) points[point.kind].push(point);
    for (const kept of Object.values(points)) kept.sort((one, other) => one.step - other.step);
    draw();
    if (state !== null) changed();
    state = news.run.state;
    if (["done", "failed", "stopped"].includes(state)) {
      stream.close();
      setTimeout(resumed, 2000);
    }
  };
  addEventListener("pagehide", () => stream.close(), { once: true });
}

/* Somebody may resume it, here or elsewhere. */
async function resumed() {
  if (document.querySelector(".head .tag")?.textContent.match(/queued|running/)) follow();
  else setTimeout(resumed, 2000);
}

draw();
follow();
addEventListener("resize", () => {
  for (const [which, kept] of Object.entries(plots)) kept.plot.setSize({ width: boxes[which].clientWidth, height });
});
addEventListener("themechange", () => {
  for (const kept of Object.values(plots)) kept.key = "";
  draw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));
