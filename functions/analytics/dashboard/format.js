// Numbers, money and dates, as the browser's language writes them.

const numbers = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });

export const number = (value) => numbers.format(value);
export const shortNumber = (value) => short.format(value);
export const percent = (share) => (share === null || share === undefined ? "–" : percents.format(share));

const currencies = new Map();

function currency(code) {
  if (!currencies.has(code)) {
    const format = (options) => new Intl.NumberFormat(undefined, { style: "currency", currency: code, ...options });
    const exact = format({});
    // ISO 4217 says how many of the minor unit make one of the major.
    const unit = 10 ** exact.resolvedOptions().maximumFractionDigits;
    const compact = { notation: "compact", minimumFractionDigits: 0, maximumFractionDigits: 1 };
    currencies.set(code, { unit, exact, short: format(compact) });
  }
  return currencies.get(code);
}

/** Minor units, written as money. */
export const money = (amount, code) => currency(code).exact.format(amount / currency(code).unit);
export const shortMoney = (amount, code) => currency(code).short.format(amount / currency(code).unit);

/** How many minor units make one major. */
export const unitOf = (code) => currency(code).unit;

/** The amount of one currency in a list of money. */
export const amountIn = (list, code) => (list ?? []).find((money) => money.currency === code)?.amount ?? 0;

// A point's start carries the local time of the time zone that was asked for: shown as it is, whatever zone the browser is in.
const local = (start) => new Date(`${start.slice(0, 19)}Z`);
const dates = (options) => new Intl.DateTimeFormat(undefined, { timeZone: "UTC", ...options });
const dayAndMonth = dates({ day: "numeric", month: "short" });
const wholeDay = dates({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
const month = dates({ month: "short", year: "numeric" });
const hour = dates({ hour: "numeric", minute: "2-digit" });
const wholeHour = dates({ weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });

/** A label of an axis. */
export function tick(start, granularity) {
  if (granularity === "hour") return start.slice(11, 13) === "00" ? dayAndMonth.format(local(start)) : hour.format(local(start));
  return (granularity === "month" ? month : dayAndMonth).format(local(start));
}

/** A point's name, where there is room. */
export function pointName(start, granularity) {
  if (granularity === "hour") return wholeHour.format(local(start));
  if (granularity === "month") return month.format(local(start));
  return (granularity === "week" ? "Week from " : "") + wholeDay.format(local(start));
}

/** A day written as YYYY-MM-DD. */
export const day = (text) => dates({ day: "numeric", month: "short", year: "numeric" }).format(local(`${text}T00:00:00`));

/** Moves a day written as YYYY-MM-DD. */
export function addDays(text, days) {
  const date = local(`${text}T00:00:00`);
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString().slice(0, 10);
}

/** `order_paid` as people write it. */
export const words = (name) => name.replaceAll("_", " ");
