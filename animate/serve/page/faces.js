// A photo with the faces that were found in it, as buttons.
import { faces } from "./api.js";
import { alerts, fill, h, many } from "./dom.js";

// `choose` gets a number counted from the left, or "all"; null for the one that is taken anyway.
export function photoWithFaces(photo, choose) {
  const image = h("img", { alt: `Your photo, ${photo.name}`, src: URL.createObjectURL(photo) });
  const frame = h("div", { class: "faces" }, image);
  const words = h("p", { class: "soft", role: "status" }, "looking for faces");
  const buttons = h("div", { class: "row" });
  const problem = alerts();
  const place = h("div", {}, frame, words, buttons, problem.place);
  image.addEventListener("error", () => {
    image.hidden = true;
  });

  let usual = null;
  const mark = (which) => {
    for (const button of frame.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(which === "all" || Number(button.dataset.face) === which));
    }
    buttons.querySelector("button")?.setAttribute("aria-pressed", String(which === "all"));
    choose(which === usual ? null : which);
  };

  faces(photo).then((found) => {
    const boxes = found.faces.map((face, index) => {
      const button = h("button", { type: "button", "data-face": String(index + 1), "aria-pressed": "false",
        "aria-label": `Face ${index + 1} of ${found.faces.length}, from the left`, onclick: () => mark(index + 1) }, h("span", {}, String(index + 1)));
      const percent = (value, whole) => `${(100 * value) / whole}%`;
      button.style.left = percent(face.left, found.width);
      button.style.top = percent(face.top, found.height);
      button.style.width = percent(face.width, found.width);
      button.style.height = percent(face.height, found.height);
      return button;
    });
    frame.append(...boxes);
    if (!boxes.length) {
      words.textContent = "Faces are not searched here: the middle of the photo is used.";
      return;
    }
    words.textContent = boxes.length === 1 ? "One face found." : `${many(boxes.length, "face")} found: choose one.`;
    if (boxes.length > 1) fill(buttons, h("button", { type: "button", "aria-pressed": "false", onclick: () => mark("all") }, "All faces"));
    usual = found.chosen;
    mark(usual);
  }, (error) => {
    words.textContent = "";
    problem.show(error.message);
  });
  return place;
}
