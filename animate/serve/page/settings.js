// The settings form, made from the options' own definitions, which the server sends.
import { fill, h } from "./dom.js";

const SLIDERS = { mouth: [0, 2], eyes: [0, 2], head: [0, 2], smoothing: [0.2, 10] };
const TITLES = {
  retarget: "Movement", faces: "Faces", clip: "Part of the clip", label: "Visible label", paste: "Result", statement: "Consent",
};

// {place, values(), set(key, value)}: `values` holds the changed settings alone, by key.
export function settingsForm(groups) {
  const chosen = {};
  const rows = {};
  const place = h("div", {});
  const count = {};
  const groupOf = {};

  const change = (key, value, standard) => {
    if (value === undefined || JSON.stringify(value) === JSON.stringify(standard)) delete chosen[key];
    else chosen[key] = value;
    const group = groupOf[key];
    const changed = Object.keys(chosen).filter((each) => groupOf[each] === group).length;
    count[group].textContent = changed ? ` ${changed} changed` : "";
  };

  for (const group of groups) {
    count[group.name] = h("span", {});
    const fields = group.fields.map((field) => {
      groupOf[field.key] = group.name;
      rows[field.key] = row(field, (value) => change(field.key, value, field.default));
      return rows[field.key].place;
    });
    place.append(h("details", {}, h("summary", {}, TITLES[group.name] ?? group.name, count[group.name]), fields));
  }
  return {
    place,
    values: () => ({ ...chosen }),
    set: (key, value) => rows[key]?.set(value),
  };
}

function row(field, change) {
  const id = `setting-${field.key}`;
  const about = h("p", { class: "soft", id: `${id}-about` }, field.about);
  const { place, set } = control(field, id, change);
  return { place: h("div", { class: "field" }, h("label", { for: id }, field.name.replace("_", " ")), place, about), set };
}

function control(field, id, change) {
  const common = { id, "aria-describedby": `${id}-about` };
  if (field.kinds.includes("flag")) return flag(field, common, change);
  if (field.name in SLIDERS) return slider(field, common, change);
  const numeric = field.kinds.includes("whole") || field.kinds.includes("number");
  if (field.words.length && !numeric) return select(field, common, change);
  return text(field, common, change, numeric);
}

function flag(field, common, change) {
  const box = h("input", { type: "checkbox", ...common, checked: field.default, onchange: () => change(box.checked) });
  return { place: h("div", {}, box), set: (value) => { box.checked = value; change(value); } };
}

function select(field, common, change) {
  const box = h("select", { ...common, onchange: () => change(box.value) }, field.words.map((word) => h("option", { value: word }, word)));
  box.value = field.default;
  return { place: box, set: (value) => { box.value = value; change(value); } };
}

// A number between two bounds; where the field knows a word (auto) or null, a button gives it back.
function slider(field, common, change) {
  const [low, high] = SLIDERS[field.name];
  const start = typeof field.default === "number" ? field.default : 1;
  const word = field.default === null ? "off" : String(field.default);
  const shown = h("output", { for: common.id }, word);
  const box = h("input", { type: "range", ...common, min: String(low), max: String(high), step: "0.1", value: String(start), oninput: () => {
    shown.textContent = box.value;
    change(Number(box.value));
  } });
  const back = h("button", { type: "button", class: "quiet", "aria-label": `${field.name}: back to ${word}`, onclick: () => set(field.default) }, "Reset");
  const set = (value) => {
    box.value = String(typeof value === "number" ? value : start);
    shown.textContent = value === null ? "off" : String(value);
    change(value);
  };
  return { place: h("div", { class: "slide" }, box, shown, back), set };
}

function text(field, common, change, numeric) {
  const standard = field.default === null ? "" : [].concat(field.default).join(", ");
  const hint = standard || (field.optional ? "none" : "");
  const box = h("input", { type: "text", ...common, placeholder: hint, value: numeric ? "" : standard, spellcheck: "false", autocomplete: "off", onchange: () => change(read(box.value.trim())) });
  const read = (written) => {
    if (!written) return field.kinds.includes("text") && !numeric && field.optional ? null : undefined;
    if (field.kinds.includes("numbers")) return written.split(/[\s,]+/).map(Number);
    return numeric && !Number.isNaN(Number(written)) ? Number(written) : written;
  };
  return { place: box, set: (value) => { box.value = String(value ?? ""); change(value); } };
}
