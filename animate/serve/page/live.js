import { h } from "./dom.js";
export async function view() { return { place: h("p", {}, "soon") }; }
