// The page: who is signed in, what is asked for, and what is shown.

import * as controls from "./controls.js";
import * as figures from "./figures.js";
import { day } from "./format.js";
import { Refusal, get, signIn, signOut } from "./session.js";

const by = (id) => document.getElementById(id);
const ASK = {
  timeseries: "analytics/timeseries",
  funnel: "analytics/funnel",
  products: "analytics/top-products",
  cohorts: "analytics/cohorts",
};

let loading = new AbortController();
let shown = null; // What the API answered last, and to which question.
let order = "revenue";
let names = new Map();

function show(what) {
  for (const id of ["sign-in", "forbidden", "dashboard"]) by(id).hidden = id !== what;
  by("sign-out").hidden = by("who").hidden = what === "sign-in";
}

function askToSignIn(why = "") {
  loading.abort();
  shown = null;
  show("sign-in");
  by("sign-in-error").textContent = why;
  by("username").focus();
}

function failed(error) {
  if (error.name === "AbortError") return;
  by("status").textContent = "";
  if (error.status === 401) {
    askToSignIn("Your session has ended: sign in again.");
  } else if (error.status === 403) {
    show("forbidden");
    by("forbidden").focus();
  } else {
    by("problem").textContent = error instanceof Refusal ? error.message : "The server cannot be reached. Try again.";
  }
}

// Without a currency nothing was earned, and no list can be ordered by it.
const ordered = () => (order === "revenue" && !controls.currency() ? "units" : order);

const questions = (query) => ({
  period: query,
  sums: { ...query, granularity: "" },
  cohorts: { from: figures.cohortsFrom(query), to: query.to },
  products: {
    ...query,
    granularity: "",
    by: ordered(),
    currency: ordered() === "revenue" ? controls.currency() : "",
    limit: "10",
  },
});

const answer = async (path, query, signal) => (await get(path, query, { signal })).json();

async function load() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  const asked = questions(controls.query());
  by("problem").textContent = "";
  by("status").textContent = "Loading…";
  by("figures").setAttribute("aria-busy", "true");
  try {
    const [series, funnel, cohorts] = await Promise.all([
      answer(ASK.timeseries, asked.period, signal),
      answer(ASK.funnel, asked.sums, signal),
      answer(ASK.cohorts, asked.cohorts, signal),
      loadNames(signal),
    ]);
    const codes = new Set([...series.total.revenue, ...series.total.refunds].map((money) => money.currency));
    controls.offerCurrencies([...codes].sort());
    const products = await answer(ASK.products, questions(asked.period).products, signal);
    shown = { query: asked.period, series, funnel, cohorts, products };
    drawAll();
    by("status").textContent = `${day(series.from)} to ${day(series.to)}, as of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    failed(error);
  } finally {
    if (!signal.aborted) by("figures").removeAttribute("aria-busy");
  }
}

/** The catalogue's names for products; their ids do where it cannot be read. */
async function loadNames(signal) {
  const list = await answer("products", { limit: "100" }, signal).catch(() => ({ items: [] }));
  names = new Map(list.items.map(({ id, name }) => [id, name]));
}

function drawAll() {
  const { series, funnel, cohorts, query } = shown;
  const { total } = series;
  const nothing = total.visitors === 0 && !Object.keys(total.events).length && !Object.keys(total.orders).length;
  by("empty").hidden = !nothing;
  by("figures").hidden = nothing;
  if (nothing) return;
  const asked = questions(query);
  const csvOfSeries = () => download("timeseries", asked.period);
  figures.headline(series, funnel, controls.currency());
  figures.visitors(series, csvOfSeries);
  figures.events(series, csvOfSeries);
  figures.revenue(series, controls.currency(), csvOfSeries);
  figures.orders(series, csvOfSeries);
  figures.funnel(funnel, () => download("funnel", asked.sums));
  figures.cohorts(cohorts, asked.cohorts.from, asked.cohorts.to, () => download("cohorts", asked.cohorts));
  drawProducts();
}

function drawProducts() {
  figures.products(shown.products, {
    choice: ordered(),
    choose: reloadProducts,
    currency: controls.currency(),
    names,
    download: () => download("products", questions(shown.query).products),
  });
}

async function reloadProducts(choice) {
  if (choice) order = choice;
  try {
    shown.products = await answer(ASK.products, questions(shown.query).products, loading.signal);
    drawProducts();
    if (choice) by("products-by").focus();
  } catch (error) {
    failed(error);
  }
}

async function download(what, query) {
  try {
    const response = await get(ASK[what], query, { accept: "text/csv" });
    const url = URL.createObjectURL(await response.blob());
    const link = document.createElement("a");
    link.href = url;
    link.download = `${what}-${query.from}-${query.to}.csv`;
    link.click();
    URL.revokeObjectURL(url);
  } catch (error) {
    failed(error);
  }
}

by("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter ?? by("sign-in").querySelector("button");
  by("sign-in-error").textContent = "";
  button.disabled = true;
  try {
    await signIn(by("username").value.trim(), by("password").value, by("code").value.trim());
    by("who").textContent = by("username").value.trim();
    by("password").value = by("code").value = "";
    by("code-field").hidden = true;
    show("dashboard");
    by("main").focus();
    load();
  } catch (error) {
    if (error.type === "urn:problem-type:second-factor-required") {
      by("code-field").hidden = false;
      by("sign-in-error").textContent = "This account has a second factor: enter its code.";
      by("code").focus();
    } else {
      by("sign-in-error").textContent = error instanceof Refusal ? error.message : "The server cannot be reached. Try again.";
    }
  } finally {
    button.disabled = false;
  }
});

by("sign-out").addEventListener("click", async () => {
  await signOut();
  askToSignIn();
});

// Plots are drawn with the colours of the moment.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown && drawAll());

controls.begin(load, () => {
  if (!shown) return;
  drawAll();
  if (order === "revenue") reloadProducts();
});
askToSignIn();
