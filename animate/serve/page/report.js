// A report of `animate verify` in words: the verdict, and what it does and doesn't say.
import { sentence } from "./api.js";
import { h } from "./dom.js";

// docs/threat-model.md has the same in full.
export const MEANS = {
  authentic: ["good", "Authentic", "Somebody whom this server trusts signed these very bytes and stated the claim below. That does not make the claim true: what is shown is synthetic."],
  traced: ["good", "Traced", "It carries the mark of a file that somebody whom this server trusts published, and its pictures resemble that file's. What was changed since, sound included, can't be told."],
  marked: ["good", "Marked", "It was made with this toolkit, or by somebody who imitates its mark. Who made it is not proven."],
  tampered: ["bad", "Tampered with", "Two of its layers contradict each other; the reasons say which."],
  "not found": ["warn", "No mark found", "No mark of this toolkit was found. That does not mean that it is real: marks can be destroyed, and there are other tools."],
  unreadable: ["bad", "Not readable", "It could not be read as a picture or a video."],
};

export function badge(name) {
  const [kind, title] = MEANS[name] ?? ["", name];
  return h("span", { class: `badge ${kind}` }, title);
}

export function verdict(report, words) {
  return h("div", {},
    h("p", {}, badge(report.verdict), " ", MEANS[report.verdict]?.[2] ?? ""),
    h("details", {}, h("summary", {}, "What was found"), facts(report), words && h("p", { class: "soft" }, words)));
}

export function facts(report) {
  const { mark, signature, claim, labels } = report;
  const rows = [["Reasons", report.reasons.map(sentence).join(" ")]];
  rows.push(["Mark", mark.found ? `in the pixels; at most ${mark.p_value.toExponential(1)} of unmarked files would look so${spans(mark.seconds)}` : "none in the pixels"]);
  rows.push(["Key", mark.key ? mark.key.name : mark.found ? "not known here" : "none"]);
  rows.push(["Signature", SIGNATURES[signature.state] + (signature.name ? ` (${signature.name})` : "")]);
  if (claim) rows.push(["Made", `${claim.created} by ${claim.generator}, ${claim.model}`], ["Consent", claim.consent]);
  if (claim?.provider) rows.push(["Provider", claim.provider], ["Identifier", claim.identifier]);
  const found = [];
  if (labels.visible) found.push(`visible: ${labels.visible.text}`);
  if (labels.digital_source_type) found.push(`IPTC: ${labels.digital_source_type.split("/").pop()}`);
  if (labels.aigc) found.push(`AIGC of ${labels.aigc.producer ?? "a producer"}`);
  rows.push(["Labels", found.join("; ") || "none"]);
  if (report.ledger) rows.push(["Ledger", `entry ${report.ledger.number} of this machine`]);
  return h("dl", {}, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

const SIGNATURES = {
  none: "none", remote: "kept elsewhere, not fetched", unchecked: "could not be checked", invalid: "damaged or forged",
  changed: "the file is not the one that was signed", trusted: "valid, of an identity that is trusted here",
  untrusted: "valid, of a key that is not trusted here", public: "valid, with the toolkit's public key, which anyone can use",
  expired: "of a certificate that is no longer valid", revoked: "of a key that was revoked",
};

const spans = (all) => (all.length ? `, in seconds ${all.map(([from, to]) => `${from.toFixed(1)} to ${to.toFixed(1)}`).join(", ")}` : "");
