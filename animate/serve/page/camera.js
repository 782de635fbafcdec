// Take a photo or a short clip with the camera, in a dialog.
import { alerts, fill, h, seconds } from "./dom.js";

const LONGEST = 15; // seconds of a clip
const KINDS = ["video/mp4;codecs=avc1.42E01E,mp4a.40.2", "video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];

export async function openCamera(sound = false) {
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" };
  if (!navigator.mediaDevices) {
    throw new Error("This browser gives its camera to https pages and to this machine alone: use a file.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: sound });
  } catch (error) {
    if (sound) return openCamera(false); // a machine without a microphone
    throw new Error(
      error.name === "NotAllowedError"
        ? "The camera was refused: allow it in the browser's address bar, or use a file."
        : "No camera was found: connect one, or use a file.",
    );
  }
}

export const closeCamera = (stream) => stream?.getTracks().forEach((track) => track.stop());

// Resolves to a File, or to null if the user closes the dialog. `kind` is "photo" or "clip".
export async function capture(kind) {
  const stream = await openCamera(kind === "clip");
  const video = h("video", { autoplay: true, muted: true, playsInline: true, srcObject: stream });
  const words = h("p", { class: "soft", role: "status" },
    kind === "photo" ? "Look at the camera, with a still, closed mouth." : `Start with a still face; up to ${LONGEST} s.`);
  const problem = alerts();
  const buttons = h("div", { class: "row" });
  const dialog = h("dialog", { "aria-label": kind === "photo" ? "Take a photo" : "Take a clip" }, video, words, problem.place, buttons);
  document.body.append(dialog);
  dialog.showModal();
  try {
    return await new Promise((resolve) => {
      const cancel = h("button", { type: "button", onclick: () => resolve(null) }, "Cancel");
      dialog.addEventListener("cancel", () => resolve(null));
      if (kind === "photo") {
        fill(buttons, h("button", { type: "button", class: "main", onclick: () => still(video).then(resolve, (error) => problem.show(error.message)) }, "Take the photo"), cancel);
      } else {
        recorder(stream, buttons, words, cancel, resolve);
      }
      buttons.firstChild.focus();
    });
  } finally {
    closeCamera(stream);
    dialog.close();
    dialog.remove();
  }
}

async function still(video) {
  if (!video.videoWidth) throw new Error("The camera shows nothing yet: wait a second.");
  const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  return new File([blob], "camera.png", { type: "image/png" });
}

function recorder(stream, buttons, words, cancel, resolve) {
  const type = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
  const pieces = [];
  const taker = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 4_000_000 });
  taker.ondataavailable = (event) => pieces.push(event.data);
  taker.onstop = () => {
    const plain = type.split(";")[0];
    resolve(new File(pieces, `camera.${plain.split("/")[1]}`, { type: plain }));
  };
  const stop = h("button", { type: "button", class: "recording", hidden: true, onclick: () => taker.stop() }, "Stop");
  const start = h("button", { type: "button", class: "main", onclick: () => {
    taker.start();
    start.hidden = true;
    stop.hidden = false;
    stop.focus();
    const since = performance.now();
    const tick = setInterval(() => {
      const age = (performance.now() - since) / 1000;
      words.textContent = `Recording, ${seconds(age)} of ${LONGEST} s`;
      if (taker.state !== "recording") clearInterval(tick);
      else if (age >= LONGEST) taker.stop();
    }, 200);
  } }, "Record");
  fill(buttons, start, stop, cancel);
}
