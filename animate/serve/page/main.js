// The frame of the page: which view is shown, and how the server is.
import { health } from "./api.js";
import { fill, h } from "./dom.js";

const VIEWS = { animate: "Animate", live: "Live", verify: "Verify" };
const AGAIN = 5000; // milliseconds between two looks at the server
const bar = document.querySelector("nav");
const main = document.querySelector("main");
const status = document.querySelector(".server");
const made = {}; // views by name, with {place, shown, hidden}
let offers = [];
let current = null;

async function show() {
  const asked = location.hash.slice(1);
  if (asked === "main" || !offers.length) return;
  const name = offers.includes(asked) ? asked : offers[0];
  if (name === current) return;
  made[current]?.hidden?.(); // nothing while that view is still loading
  current = name;
  for (const link of bar.children) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!made[name]) made[name] = await (await import(`./${name}.js`)).view(limits);
  if (name !== current) return;
  fill(main, made[name].place);
  document.title = `${VIEWS[name]} - animate`;
  made[name].shown?.();
}

let limits = null;

async function look() {
  try {
    const found = await health();
    limits ??= found.limits;
    status.className = `server ${found.ready ? "ready" : found.error ? "gone" : ""}`;
    const busy = found.queue ? `, ${found.queue} in the queue` : "";
    status.textContent = found.error ?? (found.ready ? `ready${busy}` : "loading the model");
    if (!offers.length) begin(found);
    setTimeout(look, found.ready ? AGAIN : 500);
  } catch {
    status.className = "server gone";
    status.textContent = "the server does not answer";
    setTimeout(look, 2000);
  }
}

function begin(found) {
  offers = found.offers;
  fill(bar, offers.map((name) => h("a", { href: `#${name}` }, VIEWS[name])));
  bar.hidden = offers.length < 2;
  const minutes = found.limits.minutes;
  document.querySelector(".kept").textContent = offers.includes("animate")
    ? `Files are deleted after ${minutes} minutes, or when the server ends.`
    : "Nothing that you check here is stored.";
  show();
}

addEventListener("hashchange", show);
look();
