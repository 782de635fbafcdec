// The view Live: the camera moves a photo now. One frame is on its way, the newest; none queue up.
import * as api from "./api.js";
import { capture, closeCamera, openCamera } from "./camera.js";
import { alerts, fill, h, seconds } from "./dom.js";
import { dropPlace } from "./drop.js";
import { jobList } from "./jobs.js";
import { openSocket } from "./socket.js";
import { listen } from "./sound.js";

const WIDE = 640; // pixels of the frames that are sent
const IN_FLIGHT = 2; // frames that may be unanswered: one on its way, one at work
const LOST_AFTER = 1500; // milliseconds after which an unanswered frame no longer counts
const SLIDERS = [["head", 0, 2, 1], ["mouth", 0, 2, 1], ["eyes", 0, 2, 1], ["smoothing", 0.5, 10, 10]];
const STATES = { live: ["good", "live"], held: ["warn", "pose unclear, held"], lost: ["bad", "no face seen"] };

export async function view(limits) {
  const { examples } = await api.examples();
  const problem = alerts();
  const jobs = jobList();
  let photos = [];
  let session = null; // {socket, stream, microphone}
  let status = {};
  const sent = new Map(); // time at capture -> time of sending
  const shownAt = [];
  const ages = [];

  // ---- photos
  const list = h("ul", { class: "tiles", "aria-label": "Photos" });
  const take = (files) => {
    problem.clear();
    photos = [...photos, ...files].slice(0, limits.photos);
    showPhotos();
    if (session) stop("Start again to use the new photo.");
  };
  const showPhotos = () => {
    fill(list, photos.map((photo, index) => h("li", {},
      h("img", { alt: `Photo ${index + 1}, ${photo.name}`, src: URL.createObjectURL(photo), onclick: () => command({ do: "choose", photo: index + 1 }) }),
      h("button", { type: "button", "aria-label": `Remove photo ${index + 1}`, onclick: () => {
        photos = photos.filter((each, at) => at !== index);
        showPhotos();
      } }, "×"))));
    list.hidden = !photos.length;
    start.disabled = !photos.length;
    chooser.replaceChildren(...(photos.length > 1 ? photos.map((photo, index) => h("button", { type: "button", "data-photo": String(index + 1), "aria-pressed": "false", onclick: () => command({ do: "choose", photo: index + 1 }) }, `Photo ${index + 1}`)) : []));
  };
  const drop = dropPlace({ title: "Drop photos", hint: `1 to ${limits.photos}; keys 1 to 9 choose one`, accept: "image/*,.heic", multiple: true, take });

  // ---- what is seen
  const screen = h("canvas", { width: 512, height: 512, role: "img", "aria-label": "The animated photo", hidden: true });
  const pen = screen.getContext("2d");
  const hint = h("p", { class: "hint" }, "Choose a photo and press Start: your face moves it. Look at the camera with a still, closed mouth, then press “Neutral face”.");
  const state = h("span", { class: "badge state", role: "status", hidden: true });
  const camera = h("video", { muted: true, playsInline: true, autoplay: true, "aria-label": "Your camera" });
  const box = h("div", { class: "box", hidden: true });
  const preview = h("div", { class: "camera" }, camera, box);
  const mark = h("span", { class: "badge good", hidden: true }, "marked");
  const number = (name) => {
    const value = h("dd", {}, "-");
    return [h("div", {}, h("dt", {}, name), value), value];
  };
  const [paceBox, pace] = number("frames/s");
  const [ageBox, age] = number("age");
  const [lateBox, late] = number("late (95 %)");
  const numbers = h("dl", { class: "numbers" }, paceBox, ageBox, lateBox);

  // ---- commands
  const command = (head) => session?.socket.send(head);
  const control = (words, key, head, pressed) => h("button", { type: "button", disabled: true, title: `Key ${key}`, "data-control": "", "aria-pressed": pressed ? "false" : null, onclick: () => command(head) }, words, h("kbd", {}, key));
  const mirror = control("Mirror", "R", { do: "mirror" }, true);
  const better = control("Better match", "F", { do: "better" }, true);
  const controls = [control("Neutral face", "X", { do: "calibrate" }), better, mirror, control("Reset", "0", { do: "reset" })];
  const record = h("button", { type: "button", disabled: true, onclick: () => (status.recording === null ? beginRecording() : command({ do: "stop" })) }, "Record");
  const withSound = h("input", { type: "checkbox", checked: true, id: "with-sound" });
  const start = h("button", { type: "button", class: "main wide", disabled: true, onclick: () => (session ? stop() : begin()) }, "Start");
  const chooser = h("div", { class: "row", role: "group", "aria-label": "Photo that is shown" });
  const sliders = SLIDERS.map(([name, low, high, usual]) => {
    const off = name === "smoothing";
    const value = h("output", { for: `live-${name}` }, off ? "off" : String(usual));
    const input = h("input", { type: "range", id: `live-${name}`, min: String(low), max: String(high), step: "0.1", value: String(usual), oninput: () => {
      const chosen = Number(input.value);
      const none = off && chosen === high;
      value.textContent = none ? "off" : input.value;
      command({ do: "change", settings: { [name]: none ? null : chosen } });
    } });
    return { name, input, place: h("div", { class: "field" }, h("label", { for: input.id }, name), h("div", { class: "slide" }, input, value)) };
  });

  // ---- the session
  const begin = async () => {
    problem.clear();
    start.disabled = true;
    hint.textContent = "Starting the camera and the model.";
    hint.hidden = false;
    try {
      const stream = await openCamera();
      camera.srcObject = stream;
      await camera.play();
      const socket = openSocket({ take: receive, ended: (words) => stop(words && api.sentence(words)) });
      session = { socket, stream, ready: false };
      await socket.opened;
      for (const photo of photos) socket.send({ do: "photo", name: photo.name }, await photo.arrayBuffer());
      const settings = Object.fromEntries(sliders.filter(({ input }) => input.value !== input.defaultValue).map(({ name, input }) => [`retarget.${name}`, Number(input.value)]));
      socket.send({ do: "start", settings });
      start.textContent = "Stop";
      start.disabled = false;
    } catch (error) {
      stop(error.message);
    }
  };
  const stop = (words) => {
    const old = session;
    session = null;
    old?.socket.close();
    old?.microphone?.close();
    closeCamera(old?.stream ?? camera.srcObject);
    camera.srcObject = null;
    sent.clear();
    status = {};
    for (const each of [state, mark, screen, box]) each.hidden = true;
    hint.hidden = false;
    hint.textContent = "Choose a photo and press Start.";
    start.textContent = "Start";
    start.disabled = !photos.length;
    for (const each of [...controls, record]) each.disabled = true;
    showRecording();
    if (typeof words === "string") problem.show(words);
  };
  const receive = (head, bytes) => {
    if (head.event === "frame") draw(head, bytes);
    else if (head.event === "ready") ready(head);
    else if (head.event === "status") show(head);
    else if (head.event === "recorded") jobs.add(head.job);
    else problem.show(api.sentence(head.error));
  };
  const ready = (head) => {
    session.ready = true;
    hint.textContent = "Look at the camera.";
    for (const each of [...controls, record]) each.disabled = false;
    mark.hidden = false;
    mark.textContent = `marked by ${head.key}`;
    for (const note of head.notes) problem.show(api.sentence(note));
    watch(session);
  };
  const show = (found) => {
    status = found;
    mirror.setAttribute("aria-pressed", String(found.mirrored));
    better.setAttribute("aria-pressed", String(found.searching));
    for (const button of chooser.children) button.setAttribute("aria-pressed", String(Number(button.dataset.photo) === found.photo));
    showRecording();
  };

  // ---- frames
  const canvas = h("canvas", {});
  const brush = canvas.getContext("2d", { alpha: false });
  const watch = (own) => {
    const each = async (now, frame) => {
      if (session !== own) return;
      const at = frame?.captureTime ?? now;
      for (const [stamp, when] of sent) if (now - when > LOST_AFTER) sent.delete(stamp);
      if (sent.size < IN_FLIGHT && own.socket.waiting() === 0) {
        sent.set(at, now);
        canvas.width = WIDE;
        canvas.height = Math.round((WIDE * camera.videoHeight) / camera.videoWidth);
        brush.drawImage(camera, 0, 0, canvas.width, canvas.height);
        const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
        own.socket.send({ do: "frame", at }, await blob.arrayBuffer());
      }
      next();
    };
    const next = () => ("requestVideoFrameCallback" in camera ? camera.requestVideoFrameCallback(each) : requestAnimationFrame((now) => each(now)));
    next();
  };
  const draw = async (head, bytes) => {
    const own = session;
    for (const stamp of sent.keys()) if (stamp <= head.at) sent.delete(stamp);
    const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
    if (session !== own) return;
    if (screen.width !== picture.width || screen.height !== picture.height) Object.assign(screen, { width: picture.width, height: picture.height });
    pen.drawImage(picture, 0, 0);
    picture.close();
    screen.hidden = false;
    hint.hidden = true;
    const [kind, words] = STATES[head.state];
    if (state.textContent !== words) Object.assign(state, { textContent: words, className: `badge state ${kind}` });
    state.hidden = false;
    placeBox(head.box);
    count(head.at);
  };
  const placeBox = (found) => {
    box.hidden = !found;
    if (!found) return;
    const { width, height } = canvas;
    const left = Math.max(0, found.left);
    const top = Math.max(0, found.top);
    const right = Math.min(width, found.left + found.side);
    const bottom = Math.min(height, found.top + found.side);
    const percent = (value, whole) => `${(100 * value) / whole}%`;
    box.style.left = percent(width - right, width); // the preview is mirrored, as people know themselves
    box.style.top = percent(top, height);
    box.style.width = percent(right - left, width);
    box.style.height = percent(bottom - top, height);
  };
  const count = (at) => {
    const now = performance.now();
    shownAt.push(now);
    while (shownAt[0] < now - 2000) shownAt.shift();
    if (at !== null) ages.push(now - at);
    if (ages.length > 60) ages.shift();
    const sorted = [...ages].sort((a, b) => a - b);
    const share = (part) => (sorted.length ? `${Math.round(sorted[Math.floor(part * (sorted.length - 1))])} ms` : "-");
    pace.textContent = (shownAt.length / 2).toFixed(0);
    age.textContent = share(0.5);
    late.textContent = share(0.95);
  };

  // ---- recording
  const beginRecording = async () => {
    problem.clear();
    let rate = null;
    if (withSound.checked) {
      try {
        session.microphone = await listen((samples, at) => session?.socket.send({ do: "sound", at }, new Uint8Array(samples.buffer)));
        rate = session.microphone.rate;
      } catch {
        problem.show("The microphone was refused or is missing: this is recorded without sound.");
      }
    }
    command({ do: "record", sound_rate: rate });
  };
  const showRecording = () => {
    const on = typeof status.recording === "number";
    record.textContent = on ? `Stop recording, ${seconds(status.recording)}` : "Record";
    record.className = on ? "recording" : "";
    if (!on && session?.microphone && session.wasRecording) {
      session.microphone.close();
      session.microphone = null;
    }
    if (session) session.wasRecording = on;
  };

  // ---- keys
  const KEYS = { x: { do: "calibrate" }, f: { do: "better" }, r: { do: "mirror" }, t: { do: "mirror" }, 0: { do: "reset" } };
  const pressed = (event) => {
    if (!session || !place.isConnected || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const key = event.key.toLowerCase();
    if (key in KEYS) command(KEYS[key]);
    else if (/^[1-9]$/.test(key)) command({ do: "choose", photo: Number(key) });
    else if (key === "i") numbers.hidden = !numbers.hidden;
    else return;
    event.preventDefault();
  };
  addEventListener("keydown", pressed);

  const example = examples.filter((name) => /\.jpg$/.test(name)).map((name) => h("button", { type: "button", onclick: () => api.example(name).then((file) => take([file]), (error) => problem.show(error.message)) }, "Example photo"));
  const snap = h("button", { type: "button", onclick: () => capture("photo").then((file) => file && take([file]), (error) => problem.show(error.message)) }, "Use the camera");
  const place = h("div", {},
    h("h1", {}, "Live"),
    h("p", { class: "lead" }, "Your camera moves the photo now. Every picture is marked before it is sent to this page."),
    h("div", { class: "stage" },
      h("section", { class: "card", "aria-label": "Photo and camera" }, h("h2", {}, "Photo"), list, drop.place, h("div", { class: "row" }, example, snap), h("h2", { class: "gap" }, "Camera"), preview, start),
      h("section", { "aria-label": "Picture" }, problem.place, h("div", { class: "screen" }, screen, hint, state), numbers, h("p", { class: "row gap" }, mark), chooser),
      h("section", { class: "card", "aria-label": "Controls" }, h("h2", {}, "Controls"), h("div", { class: "stack tight" }, controls),
        h("h2", { class: "gap" }, "Strength"), sliders.map((each) => each.place),
        h("h2", { class: "gap" }, "Recording"), record, h("p", { class: "row once" }, withSound, h("label", { for: "with-sound" }, "with the microphone's sound")),
        h("p", { class: "soft" }, "Key I shows or hides the numbers."))),
    h("div", { class: "gap" }, jobs.place));
  showPhotos();
  return { place, shown: jobs.start, hidden: () => {
    jobs.stop();
    if (session) stop();
  } };
}
