// The view Verify: where do files come from? Nothing is stored.
import * as api from "./api.js";
import { alerts, fill, h, many } from "./dom.js";
import { dropPlace } from "./drop.js";
import { badge, facts, MEANS } from "./report.js";

export async function view(limits) {
  const problem = alerts();
  const status = h("p", { class: "soft", role: "status" });
  const found = h("div", { class: "stack" });
  const look = async (files) => {
    problem.clear();
    if (files.length > limits.files) {
      problem.show(`${many(files.length, "file")} are too many: at most ${limits.files} at once.`);
      return;
    }
    status.textContent = `Looking at ${many(files.length, "file")}.`;
    drop.input.disabled = true;
    try {
      const answer = await api.verify(files);
      found.prepend(...answer.files.map(report));
      status.textContent = `${many(answer.files.length, "file")} checked.`;
      found.firstChild?.focus();
    } catch (error) {
      status.textContent = "";
      problem.show(error.message);
    }
    drop.input.disabled = false;
  };
  const drop = dropPlace({ title: "Drop pictures or videos", hint: `or choose up to ${limits.files}; a manifest (NAME.c2pa) may come with its file`, accept: "image/*,video/*,.mkv,.c2pa", multiple: true, take: look });
  addEventListener("paste", (event) => {
    if (place.isConnected && event.clipboardData.files.length) look([...event.clipboardData.files]);
  });
  const place = h("div", {},
    h("h1", {}, "Was it made here?"),
    h("p", { class: "lead" }, "Looks for the invisible mark, the signature and the labels of this toolkit. The files are deleted as soon as they have been looked at."),
    h("div", { class: "columns" },
      h("div", { class: "stack" },
        h("section", { class: "card", "aria-label": "Files" }, drop.place, problem.place, status),
        h("section", { class: "card", "aria-label": "What the verdicts mean" }, h("h2", {}, "What the verdicts mean"),
          h("dl", {}, Object.entries(MEANS).map(([name, [, , about]]) => [h("dt", {}, badge(name)), h("dd", {}, about)])))),
      found));
  fill(found, h("section", { class: "card empty" }, "The reports appear here."));
  const clear = () => found.querySelector(".empty")?.remove();
  new MutationObserver(() => found.querySelector(".report") && clear()).observe(found, { childList: true });
  return { place };
}

function report(file) {
  const readable = file.verdict !== "unreadable";
  return h("article", { class: "card report", tabindex: "-1", "aria-label": `Report on ${file.path}` },
    h("header", {}, h("h3", {}, file.path), badge(file.verdict)),
    h("p", {}, MEANS[file.verdict]?.[2] ?? ""),
    readable ? facts(file) : h("p", { class: "error" }, api.sentence(file.error)),
    file.evidence && h("img", { class: "evidence", src: file.evidence, alt: `The evidence, drawn: ${file.words}` }),
    readable && h("details", {}, h("summary", {}, "As JSON"), h("pre", { tabindex: "0" }, JSON.stringify({ ...file, evidence: undefined }, null, 2))));
}
