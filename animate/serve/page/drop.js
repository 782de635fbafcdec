// A place to drop files, which is also a button and takes pasted files.
import { h } from "./dom.js";

export function dropPlace({ title, hint, accept, multiple = false, take }) {
  const input = h("input", { type: "file", accept, multiple, onchange: () => {
    if (input.files.length) take([...input.files]);
    input.value = "";
  } });
  const place = h("label", { class: "drop" }, h("strong", {}, title), hint, input);
  const over = (event) => {
    event.preventDefault();
    place.classList.add("over");
  };
  place.addEventListener("dragover", over);
  place.addEventListener("dragenter", over);
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    const files = [...event.dataTransfer.files];
    if (files.length) take(input.multiple ? files : files.slice(0, 1));
  });
  return { place, input };
}

// A file dropped beside a place must not replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
