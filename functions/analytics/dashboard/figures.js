// What each card of the page shows, made of what the API answered.

import { asTable, draw, element, forget, legend, place, table } from "./charts.js";
import { addDays, amountIn, day, money, number, percent, pointName, shortMoney, shortNumber, unitOf, words } from "./format.js";

const HUES = ["hue-1", "hue-2", "hue-3", "hue-4", "hue-5", "hue-6"];
const by = (id) => document.getElementById(id);
const sum = (values) => values.reduce((all, value) => all + value, 0);

/** Empties a card but for its head: a title, a hint, and a button that downloads the figures. */
function card(id, title, hint, download, ...controls) {
  const section = by(id);
  forget(section);
  const heading = element("h2", { id: `${id}-title` }, title);
  const button = element("button", { type: "button", class: "quiet", "aria-label": `Download ${title} as CSV` }, "CSV");
  button.addEventListener("click", download);
  const head = element("div", { class: "head" }, element("div", {}, heading, element("p", { class: "hint" }, hint)), ...controls, button);
  section.setAttribute("aria-labelledby", `${id}-title`);
  section.replaceChildren(head);
  return section;
}

/** A plot of the time series with legend and table. */
function plotted(section, title, spec, totals) {
  const here = place(title);
  const columns = [
    { name: "From", text: ({ start }) => pointName(start, spec.granularity) },
    ...spec.series.map(({ name, values }) => ({ name, number: true, text: (point) => spec.exact(values[point.index]) })),
  ];
  const rows = spec.points.map(({ start }, index) => ({ start, index }));
  section.append(legend(spec, totals), here, asTable(title, columns, rows));
  draw(here, spec);
}

const counts = { unit: 1, exact: number, short: shortNumber };

function tile(name, figure, value, more) {
  const details = more.length ? [element("dd", { class: "more" }, more.join(" · "))] : [];
  return element("div", { class: "tile", "data-figure": name }, element("dt", {}, figure), element("dd", {}, value), ...details);
}

/** The headline: the chosen currency large, the others below. */
export function headline({ total }, funnel, currency) {
  const people = Object.fromEntries(funnel.total.stages.map((stage) => [stage.stage, stage.people]));
  const amount = (list) => (currency ? money(amountIn(list, currency), currency) : "–");
  const others = (list) => list.filter((money) => money.currency !== currency).map((other) => money(other.amount, other.currency));
  const placed = total.orders.placed ?? 0;
  const conversion = people.view > 0 ? people.paid / people.view : null;
  by("headline").replaceChildren(
    tile("visitors", "Visitors", number(total.visitors), [`${number(sum(Object.values(total.events)))} events`]),
    tile("paid", "Orders paid", number(total.orders.paid ?? 0), [`of ${number(placed)} placed`]),
    tile("revenue", "Revenue", amount(total.revenue), others(total.revenue)),
    tile("refunds", "Refunds", amount(total.refunds), others(total.refunds)),
    tile("conversion", "Conversion", percent(conversion), ["of those who looked, paid"]),
  );
}

export function visitors({ points, total, granularity }, download) {
  const section = card("visitors", "Visitors", `People per ${granularity}`, download);
  const values = points.map((point) => point.visitors);
  const series = [{ name: "Visitors", kind: "area", hue: HUES[0], values }];
  plotted(section, "Visitors", { granularity, points, series, ...counts }, [number(total.visitors)]);
}

/** A line for each of the most frequent names, and one for all others. */
function named(points, totals, kind, most) {
  const names = Object.entries(totals).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([name]) => name);
  const shown = names.length > most ? names.slice(0, most - 1) : names;
  const rest = names.slice(shown.length);
  const line = (name, of, index) => ({ name, kind, hue: HUES[index], values: points.map((point) => sum(of.map((one) => point[one] ?? 0))) });
  const series = shown.map((name, index) => line(words(name), [name], index));
  return rest.length ? [...series, line(`${rest.length} others`, rest, shown.length)] : series;
}

export function events({ points, total, granularity }, download) {
  const section = card("events", "Events", `What visitors did, per ${granularity}`, download);
  const series = named(points.map((point) => point.events), total.events, "line", HUES.length);
  if (!series.length) return section.append(element("p", { class: "none" }, "No events in these days."));
  plotted(section, "Events", { granularity, points, series, ...counts }, series.map(({ values }) => number(sum(values))));
}

export function orders({ points, total, granularity }, download) {
  const section = card("orders", "Orders", `By what happened to them, per ${granularity}`, download);
  const series = named(points.map((point) => point.orders), total.orders, "line", HUES.length);
  if (!series.length) return section.append(element("p", { class: "none" }, "No orders in these days."));
  plotted(section, "Orders", { granularity, points, series, ...counts }, series.map(({ values }) => number(sum(values))));
}

export function revenue({ points, total, granularity }, currency, download) {
  const all = total.revenue.map((one) => money(one.amount, one.currency)).join(" · ");
  const section = card("revenue", "Revenue", all ? `Per ${granularity}; in all ${all}` : `Per ${granularity}`, download);
  if (!currency) return section.append(element("p", { class: "none" }, "No money was moved in these days."));
  const of = (list) => points.map((point) => amountIn(point[list], currency));
  const series = [
    { name: `Revenue in ${currency}`, kind: "bars", hue: HUES[0], values: of("revenue") },
    { name: `Refunds in ${currency}`, kind: "line", hue: HUES[2], values: of("refunds") },
  ];
  const write = { unit: unitOf(currency), exact: (value) => money(value, currency), short: (value) => shortMoney(value, currency) };
  const totals = [total.revenue, total.refunds].map((list) => money(amountIn(list, currency), currency));
  plotted(section, "Revenue", { granularity, points, series, ...write }, totals);
}

const STAGES = { view: "Looked", cart: "Put into the cart", order: "Ordered", paid: "Paid" };

export function funnel({ total: { stages } }, download) {
  const section = card("funnel", "Funnel", "People, from looking to paying", download);
  const most = Math.max(1, ...stages.map(({ people }) => people));
  const steps = stages.map(({ stage, people, of_previous: share }) => {
    const bar = element("span", { class: "bar-fill", "aria-hidden": "true" });
    bar.style.width = `${(100 * people) / most}%`;
    const rate = share === null ? null : element("span", { class: "rate" }, `${percent(share)} of those before`);
    const text = element("p", {}, element("b", {}, STAGES[stage] ?? stage), " ", element("span", { class: "people" }, number(people)), rate && " ", rate);
    return element("li", { "data-stage": stage }, text, element("span", { class: "bar-track", "aria-hidden": "true" }, bar));
  });
  const columns = [
    { name: "Step", text: ({ stage }) => STAGES[stage] ?? stage },
    { name: "People", number: true, text: ({ people }) => number(people) },
    { name: "Of those before", number: true, text: ({ of_previous: share }) => percent(share) },
  ];
  section.append(element("ol", { class: "funnel" }, ...steps), asTable("Funnel", columns, stages));
}

const ORDER = { revenue: "revenue", units: "units sold", views: "views", carts: "carts" };

/** `choice` is what the list is ordered by, `choose` is told another; `names` are those of the catalogue. */
export function products({ total: { products: list } }, { choice, choose, currency, names, download }) {
  const select = element("select", { id: "products-by" });
  for (const [value, text] of Object.entries(ORDER)) select.append(element("option", { value }, text));
  select.value = choice;
  select.addEventListener("change", () => choose(select.value));
  const section = card("products", "Top products", "The first ten", download, element("label", {}, "By ", select));
  if (!list.length) return section.append(element("p", { class: "none" }, "No products in these days."));
  const earned = (product) => amountIn(product.revenue, currency);
  const most = Math.max(1, ...list.map((product) => (choice === "revenue" ? earned(product) : product[choice])));
  const count = (name, key) => ({ key, name, number: true, text: (product) => number(product[key]) });
  const columns = [
    { name: "Product", text: ({ product_id: id }) => names.get(id) ?? id },
    count("Views", "views"),
    count("Carts", "carts"),
    count("Units", "units"),
    { key: "revenue", name: "Revenue", number: true, text: (product) => (currency ? money(earned(product), currency) : "–") },
  ];
  const made = table(`Top products by ${ORDER[choice]}`, columns, list);
  made.querySelectorAll("tbody tr").forEach((row, index) => {
    row.dataset.product = list[index].product_id;
    const value = choice === "revenue" ? earned(list[index]) : list[index][choice];
    row.style.setProperty("--share", value / most);
    row.cells[columns.findIndex(({ key }) => key === choice)].classList.add("chosen");
  });
  made.classList.add("products");
  section.append(made);
}

export function cohorts({ cohorts: all }, from, to, download) {
  // From the first week in which anybody came.
  const list = all.slice(all.findIndex(({ people }) => people > 0));
  const section = card("cohorts", "Who comes back", `By week of the first visit, ${day(from)} to ${day(to)}`, download);
  if (!list.some(({ people }) => people)) return section.append(element("p", { class: "none" }, "Nobody came for the first time in these weeks."));
  const weeks = Math.max(...list.flatMap(({ retained }) => retained.map(({ weeks_later: later }) => later)));
  const find = (cohort, later) => cohort.retained.find((one) => one.weeks_later === later);
  const columns = [
    { name: "Week from", text: ({ week }) => day(week) },
    { name: "People", number: true, text: ({ people }) => number(people) },
    ...Array.from({ length: weeks + 1 }, (_, later) => ({
      name: later === 0 ? "Same week" : `+${later}`,
      number: true,
      later,
      text: (cohort) => (find(cohort, later) ? percent(find(cohort, later).share) : ""),
    })),
  ];
  const made = table("Share of each week’s new people who came back so many weeks later", columns, list);
  made.classList.add("cohorts");
  made.querySelectorAll("tbody tr").forEach((row, index) => {
    row.dataset.week = list[index].week;
    columns.forEach(({ later }, column) => {
      const found = later === undefined ? undefined : find(list[index], later);
      if (!found) return;
      const cell = row.cells[column];
      cell.classList.add("heat");
      // The root spreads what is near zero, where returning visitors are.
      cell.style.setProperty("--share", Math.sqrt(found.share));
      cell.title = `${number(found.people)} people`;
    });
  });
  section.append(made);
}

/** The weeks that cohorts are shown for: eight at least, for fewer tell nothing. */
export const cohortsFrom = ({ from, to }) => (from < addDays(to, -55) ? from : addDays(to, -55));
