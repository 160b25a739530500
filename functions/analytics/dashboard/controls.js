// What to show: days, how long a point is, the time zone and the currency.

import { addDays } from "./format.js";

const by = (id) => document.getElementById(id);
const presets = [...document.querySelectorAll("[data-days]")];

// Figures are kept by the hour of UTC: a zone whose clock is ever off by less than an hour has no days made of them.
function isInWholeHours(zone) {
  const format = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" });
  const year = new Date().getUTCFullYear();
  return [0, 6].every((month) => {
    const parts = format.formatToParts(new Date(Date.UTC(year, month, 15)));
    return /^GMT([+-]\d\d:00)?$/.test(parts.find((part) => part.type === "timeZoneName").value);
  });
}

function today(zone) {
  const parts = new Intl.DateTimeFormat("en", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" });
  const part = Object.fromEntries(parts.formatToParts(new Date()).map(({ type, value }) => [type, value]));
  return `${part.year}-${part.month}-${part.day}`;
}

function option(value, text = value) {
  const element = document.createElement("option");
  element.value = value;
  element.textContent = text;
  return element;
}

function choosePreset(days) {
  const to = today(by("time-zone").value);
  by("to").value = to;
  by("from").value = addDays(to, 1 - days);
  by("granularity").value = days > 60 ? "week" : "day";
}

function showPreset() {
  const to = today(by("time-zone").value);
  for (const button of presets) {
    const chosen = by("to").value === to && by("from").value === addDays(to, 1 - Number(button.dataset.days));
    button.setAttribute("aria-pressed", String(chosen));
  }
}

/** Fills the lists; `reload` is called when other figures are wanted, `redraw` when the same are to be shown otherwise. */
export function begin(reload, redraw) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const known = new Set(["UTC", ...Intl.supportedValuesOf("timeZone")]);
  if (own) known.add(own);
  by("time-zone").append(...[...known].filter(isInWholeHours).map((zone) => option(zone, zone.replaceAll("_", " "))));
  by("time-zone").value = own && isInWholeHours(own) ? own : "UTC";
  choosePreset(30);
  showPreset();
  for (const button of presets) {
    button.addEventListener("click", () => {
      choosePreset(Number(button.dataset.days));
      showPreset();
      reload();
    });
  }
  for (const id of ["from", "to", "granularity", "time-zone"]) {
    by(id).addEventListener("change", () => {
      showPreset();
      if (by("controls").checkValidity()) reload();
    });
  }
  by("currency").addEventListener("change", redraw);
  by("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    showPreset();
    reload();
  });
}

/** The query of what is chosen. */
export const query = () => ({
  from: by("from").value,
  to: by("to").value,
  granularity: by("granularity").value,
  time_zone: by("time-zone").value,
});

/** Offers these currencies; keeps the chosen one if it is among them. */
export function offerCurrencies(codes) {
  const chosen = by("currency").value;
  by("currency").replaceChildren(...codes.map((code) => option(code)));
  by("currency").value = codes.includes(chosen) ? chosen : (codes[0] ?? "");
  by("currency").disabled = codes.length === 0;
}

/** The chosen currency; none where no money was moved. */
export const currency = () => by("currency").value;
