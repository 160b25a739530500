// Plots by uPlot, and what goes with each: a legend, a tip at the pointer or under the arrow keys, and the same as a table.
/* global uPlot */

import { pointName, tick } from "./format.js";

/** An element with attributes, and children that are elements or text: data never becomes HTML. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** The value of a colour of the style sheet, which differs in light and dark. */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A table: `columns` of name, text of a row, and whether it is a number; the first column names the row. */
export function table(caption, columns, rows) {
  const head = columns.map(({ name, number }) => element("th", { scope: "col", class: number && "number" }, name));
  const body = rows.map((row) => {
    const cells = columns.map(({ text, number }, index) =>
      index === 0
        ? element("th", { scope: "row" }, text(row))
        : element("td", { class: number && "number" }, text(row)),
    );
    return element("tr", {}, ...cells);
  });
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...body),
    ),
  );
}

/** The same figures, to be unfolded. */
export const asTable = (caption, columns, rows) =>
  element("details", {}, element("summary", {}, "As a table"), table(caption, columns, rows));

const plots = new Map();

/** Forgets the plots of elements that are to be replaced. */
export function forget(card) {
  for (const [place, { plot, observer }] of plots) {
    if (!card.contains(place)) continue;
    observer.disconnect();
    plot.destroy();
    plots.delete(place);
  }
}

const PATHS = {
  area: () => uPlot.paths.spline(),
  line: () => uPlot.paths.spline(),
  bars: () => uPlot.paths.bars({ size: [0.72, 56], radius: 0.12 }),
};

function seriesOptions({ name, kind, hue }, count) {
  const stroke = colour(hue);
  const filled = { area: `${stroke}2e`, bars: stroke }[kind];
  return {
    label: name,
    stroke,
    width: kind === "bars" ? 0 : 2,
    fill: filled,
    paths: PATHS[kind](),
    points: { show: kind !== "bars" && count <= 2, size: 7, fill: stroke },
  };
}

function axes(spec, starts) {
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const common = { stroke: colour("muted"), font, ticks: { show: false }, border: { show: false } };
  const whole = [1, 2, 3, 5, 7, 10, 14, 15, 30, 60, 90, 120, 180, 365];
  const steps = [1, 2, 5].flatMap((step) => Array.from({ length: 14 }, (_, power) => step * 10 ** power)).sort((a, b) => a - b);
  const name = (index) => (Number.isInteger(index) && starts[index] ? tick(starts[index], spec.granularity) : "");
  return [
    { ...common, size: 28, grid: { show: false }, incrs: spec.granularity === "hour" ? [1, 3, 6, 12, 24, 48, 96, 168] : whole, space: 64, values: (_, splits) => splits.map(name) },
    { ...common, grid: { stroke: colour("line"), width: 1 }, incrs: steps, space: 36, size: 60, values: (_, splits) => splits.map((value) => spec.short(value * spec.unit)) },
  ];
}

function fillTip(tip, spec, index) {
  const rows = spec.series.map(({ name, hue, values }) =>
    element("div", {}, element("span", { class: `key ${hue}`, "aria-hidden": "true" }), `${name}: `, element("b", {}, spec.exact(values[index]))),
  );
  tip.replaceChildren(element("p", {}, pointName(spec.points[index].start, spec.granularity)), ...rows);
}

/** Moves the cursor from point to point by the arrow keys. */
function byKeys(place, plot, count) {
  place.addEventListener("keydown", (event) => {
    const now = plot.cursor.idx ?? -1;
    const next = { ArrowRight: now + 1, ArrowLeft: now < 0 ? count - 1 : now - 1, Home: 0, End: count - 1 }[event.key];
    if (next === undefined) {
      if (event.key === "Escape") plot.setCursor({ left: -10, top: -10 });
      return;
    }
    event.preventDefault();
    const index = Math.max(0, Math.min(count - 1, next));
    plot.setCursor({ left: plot.valToPos(index, "x"), top: plot.bbox.height / devicePixelRatio / 2 });
  });
  place.addEventListener("blur", () => plot.setCursor({ left: -10, top: -10 }));
}

/**
 * Draws a plot into an element that is in the document. The x axis counts points, so that days of 23 hours and months of 28
 * days are as wide as others. `spec`: title, granularity, points, series of name, kind, hue, values; `unit` divides values for the
 * y axis, `exact` and `short` write a value.
 */
export function draw(place, spec) {
  const count = spec.points.length;
  const starts = spec.points.map(({ start }) => start);
  const tip = element("div", { class: "tip", role: "status" });
  tip.hidden = true;
  const sizes = () => ({ width: Math.max(200, place.clientWidth), height: place.clientWidth < 480 ? 200 : 250 });
  const showTip = (plot) => {
    const index = plot.cursor.idx;
    tip.hidden = index === null || index === undefined || plot.cursor.left < 0;
    if (tip.hidden) return;
    fillTip(tip, spec, index);
    const left = plot.bbox.left / devicePixelRatio + plot.valToPos(index, "x");
    const width = tip.offsetWidth;
    tip.style.left = `${Math.max(0, left + width + 16 > place.clientWidth ? left - width - 12 : left + 12)}px`;
  };
  const bars = spec.series.some(({ kind }) => kind === "bars");
  const margin = bars || count === 1 ? 0.5 : 0;
  const options = {
    ...sizes(),
    legend: { show: false },
    padding: [12, 12, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { show: !bars } },
    scales: {
      x: { time: false, range: () => [-margin, count - 1 + margin] },
      y: { range: (_, least, most) => [0, most > 0 ? most * 1.08 : 1] },
    },
    series: [{}, ...spec.series.map((series) => seriesOptions(series, count))],
    axes: axes(spec, starts),
    hooks: { setCursor: [showTip] },
  };
  const data = [starts.map((_, index) => index), ...spec.series.map(({ values }) => values.map((value) => value / spec.unit))];
  const plot = new uPlot(options, data, place);
  place.append(tip);
  byKeys(place, plot, count);
  const observer = new ResizeObserver(() => plot.setSize(sizes()));
  observer.observe(place);
  plots.set(place, { plot, observer });
}

/** The element that [`draw`] fills; the arrow keys work in it. */
export function place(title) {
  const label = `Plot: ${title}. The arrow keys tell single points; all of them are in the table below.`;
  return element("div", { class: "plot", tabindex: "0", role: "group", "aria-label": label });
}

/** Names the series, with what each comes to. */
export function legend(spec, totals) {
  const items = spec.series.map(({ name, hue }, index) =>
    element("li", {}, element("span", { class: `key ${hue}`, "aria-hidden": "true" }), `${name} `, element("b", {}, totals[index])),
  );
  return element("ul", { class: "legend" }, ...items);
}
