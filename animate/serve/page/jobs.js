// The animations of this browser: their ids survive a reload, their files are on the server.
import * as api from "./api.js";
import { fill, h, many, seconds } from "./dom.js";
import { verdict } from "./report.js";

const KEY = "animate-jobs";
const EVERY = 700; // milliseconds between two looks at what is at work

const remembered = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]").filter((id) => typeof id === "string");
  } catch {
    return [];
  }
};
const remember = (ids) => localStorage.setItem(KEY, JSON.stringify(ids));

export function jobList() {
  const list = h("div", { "aria-live": "polite" });
  const place = h("section", { class: "card", "aria-label": "Results" }, h("h2", {}, "Results"), list);
  const cards = new Map();
  const empty = h("p", { class: "empty" }, "Your animations appear here.");
  let timer = null;

  const settle = () => {
    if (!cards.size) fill(list, empty);
    else empty.remove();
  };
  const forget = (id) => {
    cards.get(id)?.place.remove();
    cards.delete(id);
    remember(remembered().filter((each) => each !== id));
    settle();
  };
  const add = (job, own = null) => {
    const card = jobCard(job, own, () => forget(job.id));
    cards.set(job.id, card);
    list.prepend(card.place);
    remember([job.id, ...remembered().filter((each) => each !== job.id)]);
    settle();
    return card;
  };
  const look = async () => {
    for (const [id, card] of [...cards]) {
      if (!card.open()) continue;
      try {
        card.show(await api.job(id));
      } catch (error) {
        if (error.status === 404) forget(id);
      }
    }
    timer = setTimeout(look, EVERY);
  };
  const start = async () => {
    for (const id of remembered().reverse()) {
      if (cards.has(id)) continue;
      try {
        add(await api.job(id));
      } catch (error) {
        if (error.status === 404) forget(id);
      }
    }
    settle();
    clearTimeout(timer);
    look();
  };
  return { place, add, start, stop: () => clearTimeout(timer) };
}

// `own` are the files that this page sent; after a reload the server sends them back.
function jobCard(first, own, forget) {
  const title = first.photos.length > 1 ? `${many(first.photos.length, "photo")}, in step` : first.photos[0] ?? "Live recording";
  const state = h("span", { class: "soft" });
  const body = h("div", {});
  const gone = h("button", { type: "button", class: "quiet" }, "Cancel");
  gone.addEventListener("click", async () => {
    gone.disabled = true;
    await api.remove(first.id).catch(() => null);
    forget();
  });
  const place = h("article", { class: "job", "aria-label": title }, h("header", {}, h("h3", {}, title), h("span", { class: "row" }, state, gone)), body);
  let now = first.state;

  const bar = h("progress", { max: 1, "aria-label": "Progress" });
  const words = h("p", { class: "soft" });
  const image = h("img", { alt: "The newest frame" });
  const growing = h("div", { class: "beside", hidden: true }, h("figure", { class: "result" }, h("figcaption", {}, "The newest frame"), image));
  let pictured = 0;

  const show = (job) => {
    if (job.state !== now || !body.childNodes.length) {
      now = job.state;
      gone.textContent = now === "done" || now === "failed" ? "Delete" : "Cancel";
      if (now === "done") fill(body, notes(job), finished(job, own));
      else if (now === "failed") fill(body, h("p", { class: "error", role: "alert" }, api.sentence(job.error)), job.command && command(job.command));
      else fill(body, bar, words, growing);
    }
    state.textContent = { waiting: "waiting", working: "at work", done: "", failed: "failed" }[now];
    if (now === "waiting") {
      bar.removeAttribute("value");
      words.textContent = job.before ? `${many(job.before, "animation")} first.` : "Starting.";
    }
    if (now === "working") progress(job);
  };
  const progress = (job) => {
    if (job.total && job.done) bar.value = job.done / job.total;
    else bar.removeAttribute("value");
    const left = job.left === null ? "" : `, ${seconds(job.left)} left`;
    words.textContent = {
      preparing: "Reading photo and clip.",
      animating: `${job.done} of ${job.total ?? "an unknown number of"} frames${left}.`,
      verifying: "Signing, and checking that the mark can be read.",
    }[job.stage] ?? "";
    if (job.preview !== pictured) {
      pictured = job.preview;
      image.src = `/api/animate/${job.id}/preview?frame=${pictured}`;
      growing.hidden = false;
    }
  };
  show(first);
  return { place, show, open: () => now === "waiting" || now === "working" };
}

const notes = (job) => job.notes.map((note) => h("p", { class: "note" }, api.sentence(note)));

function finished(job, own) {
  const still = job.result.name.endsWith(".png");
  const link = `/api/animate/${job.id}/result`;
  const result = still
    ? h("img", { alt: "The result", src: link })
    : h("video", { "aria-label": "The result", src: link, controls: true, loop: true, playsInline: true, preload: "auto" });
  const figure = (words, element, kind) => {
    const made = h("figure", { class: kind }, h("figcaption", {}, words), element);
    element.addEventListener("error", () => { made.hidden = true; });
    return made;
  };
  const source = (file, path) => (file ? URL.createObjectURL(file) : `/api/animate/${job.id}/${path}`);
  const parts = [figure("Result", result, "result")];
  if (job.photos.length === 1) parts.push(figure("Photo", h("img", { alt: "The photo", src: source(own?.photos[0], "photos/1") })));
  if (job.clip) {
    const picture = own ? own.clip.type.startsWith("image/") : still;
    const driver = picture
      ? h("img", { alt: "The driver", src: source(own?.clip, "clip") })
      : h("video", { "aria-label": "The driver", src: source(own?.clip, "clip"), muted: true, loop: true, playsInline: true, preload: "auto" });
    parts.push(figure("Driver", driver));
    if (!still && !picture) inStep(result, driver, Number(job.settings["clip.start"] ?? 0));
  }
  return [
    h("div", { class: "beside" }, parts),
    verdict(job.result.report, job.result.words),
    h("div", { class: "row" }, h("a", { class: "button main", href: link, download: "" }, "Download")),
    job.command && command(job.command),
    h("p", { class: "soft" }, `Its files are deleted at ${new Date(1000 * job.deleted).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}.`),
  ];
}

// The driver plays where the result plays.
function inStep(result, driver, start) {
  const place = () => {
    if (Math.abs(driver.currentTime - start - result.currentTime) > 0.15) driver.currentTime = start + result.currentTime;
  };
  result.addEventListener("play", () => {
    place();
    driver.play().catch(() => null);
  });
  result.addEventListener("pause", () => driver.pause());
  result.addEventListener("timeupdate", place);
  result.addEventListener("seeked", place);
}

function command(text) {
  const copy = h("button", { type: "button", class: "quiet", onclick: () => navigator.clipboard.writeText(text).then(() => { copy.textContent = "Copied"; }) }, "Copy");
  return h("details", {}, h("summary", {}, "The same at a prompt"), h("pre", { tabindex: "0" }, text), copy);
}
