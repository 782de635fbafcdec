// The view Animate: photo and clip in, settings, then the jobs.
import * as api from "./api.js";
import { capture } from "./camera.js";
import { alerts, fill, h, many } from "./dom.js";
import { dropPlace } from "./drop.js";
import { photoWithFaces } from "./faces.js";
import { jobList } from "./jobs.js";
import { settingsForm } from "./settings.js";

const PHOTOS = "image/*,video/*,.heic,.heif";
const CLIPS = "video/*,image/*,.mkv,.npz";

export async function view(limits) {
  const [{ groups }, { examples }] = await Promise.all([api.settings(), api.examples()]);
  const form = settingsForm(groups);
  const problem = alerts();
  const jobs = jobList();
  let photos = [];
  let clip = null;
  let grid = false;
  let which = null; // the face to animate, where it is not the largest

  const example = (name, take, words) =>
    h("button", { type: "button", onclick: () => api.example(name).then(take, (error) => problem.show(error.message)) }, words);
  const camera = (kind, take, words) =>
    h("button", { type: "button", onclick: () => capture(kind).then((file) => file && take(file), (error) => problem.show(error.message)) }, words);

  // ---- photos
  const chosenPhotos = h("div", {});
  const takePhotos = (files) => {
    problem.clear();
    photos = grid ? [...photos, ...files].slice(0, limits.photos) : files.slice(0, 1);
    showPhotos();
  };
  const photoDrop = dropPlace({ title: "Drop a photo", hint: "or choose one: a clear face, seen from the front", accept: PHOTOS, multiple: true, take: (files) => {
    if (!grid && files.length > 1) {
      together.checked = true;
      setGrid(true);
    }
    takePhotos(files);
  } });
  const showPhotos = () => {
    which = null;
    if (!photos.length) fill(chosenPhotos);
    else if (grid) fill(chosenPhotos, thumbnails());
    else if (photos[0].type.startsWith("video/")) fill(chosenPhotos, shownClip(photos[0], "The video whose person is animated"));
    else fill(chosenPhotos, photoWithFaces(photos[0], (face) => { which = face; }), h("p", { class: "name" }, photos[0].name));
    photoDrop.place.querySelector("strong").textContent = grid ? `Drop up to ${limits.photos} photos` : photos.length ? "Drop another photo" : "Drop a photo";
    update();
  };
  const thumbnails = () => h("ul", { class: "tiles", "aria-label": "Photos of the grid" }, photos.map((photo, index) =>
    h("li", {}, h("img", { alt: photo.name, src: URL.createObjectURL(photo) }),
      h("button", { type: "button", "aria-label": `Remove ${photo.name}`, onclick: () => {
        photos = photos.filter((each, at) => at !== index);
        showPhotos();
      } }, "×"))));
  const setGrid = (on) => {
    grid = on;
    photos = on ? photos : photos.slice(0, 1);
    showPhotos();
  };
  const choice = (name, value, checked, words, small) => h("label", {},
    h("input", { type: "radio", name, value, checked, onchange: () => setGrid(value === "grid") }), words, h("small", {}, small));
  const layout = h("fieldset", { class: "choice" }, h("legend", {}, "One photo or several"),
    choice("layout", "one", true, "One photo", "moves like the clip"),
    choice("layout", "grid", false, "Several, in step", "a grid, with the clip's sound"));
  const together = layout.querySelector("[value=grid]");

  // ---- clip
  const chosenClip = h("div", {});
  const takeClip = (file) => {
    problem.clear();
    clip = file;
    fill(chosenClip, shownClip(file, "The clip that moves the face"), h("p", { class: "name" }, file.name));
    update();
  };
  const shownClip = (file, words) => h("div", { class: "chosen" }, file.type.startsWith("image/")
    ? h("img", { alt: words, src: URL.createObjectURL(file) })
    : h("video", { "aria-label": words, src: URL.createObjectURL(file), controls: true, muted: true, loop: true, playsInline: true, preload: "auto" }));
  const clipDrop = dropPlace({ title: "Drop a clip", hint: `or choose one: a talking or singing face, up to ${limits.seconds} s`, accept: CLIPS, take: (files) => takeClip(files[0]) });

  // ---- go
  const go = h("button", { type: "submit", class: "main wide", disabled: true }, "Animate");
  const missing = h("p", { class: "soft", role: "status" });
  const update = () => {
    const lacks = [photos.length ? null : "a photo", clip ? null : "a clip"].filter(Boolean);
    go.disabled = lacks.length > 0;
    missing.textContent = lacks.length ? `Still needed: ${lacks.join(" and ")}.` : grid ? `${many(photos.length, "photo")} in one grid.` : "";
  };
  const submit = async (event) => {
    event.preventDefault();
    problem.clear();
    go.disabled = true;
    go.textContent = "Sending";
    try {
      const chosen = form.values();
      if (!grid && which !== null && chosen["faces.which"] === undefined) chosen["faces.which"] = which;
      jobs.add(await api.animate(photos, clip, chosen), { photos, clip });
      jobs.place.scrollIntoView({ behavior: "smooth", block: "nearest" });
    } catch (error) {
      problem.show(error.message);
    }
    go.textContent = "Animate";
    update();
  };

  const card = (title, ...children) => h("section", { class: "card", "aria-label": title }, h("h2", {}, title), children);
  const inputs = h("form", { class: "stack", onsubmit: submit },
    card("Photo", layout, chosenPhotos, photoDrop.place, h("div", { class: "row" },
      camera("photo", (file) => takePhotos([file]), "Use the camera"),
      examples.filter((name) => /\.(jpg|png)$/.test(name)).map((name) => example(name, (file) => takePhotos([file]), "Example photo")))),
    card("Clip", chosenClip, clipDrop.place, h("div", { class: "row" },
      camera("clip", takeClip, "Record a clip"),
      examples.filter((name) => /\.mp4$/.test(name)).map((name, at, all) => example(name, takeClip, all.length > 1 ? name.replace(/\.mp4$/, "") : "Example clip")))),
    h("section", { class: "card", "aria-label": "Settings" }, h("h2", {}, "Settings"), form.place, problem.place, go, missing));
  update();
  const place = h("div", {},
    h("h1", {}, "Animate a photo"),
    h("p", { class: "lead" }, "The face in your photo moves like the one in the clip. Nothing leaves the machine that serves this page."),
    h("div", { class: "columns" }, inputs, jobs.place));
  return { place, shown: jobs.start, hidden: jobs.stop };
}
