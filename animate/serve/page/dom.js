// Make elements: h("p", {class: "soft", onclick: f}, "text", other). Text is never read as HTML.
export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export const fill = (place, ...children) => place.replaceChildren(...children.flat(Infinity).filter(Boolean));

export const many = (count, one, others = `${one}s`) => `${count} ${count === 1 ? one : others}`;

export function seconds(count) {
  const whole = Math.max(0, Math.round(count));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

// A place for errors that screen readers announce.
export function alerts() {
  const place = h("div", { role: "alert" });
  return {
    place,
    show: (words) => fill(place, h("p", { class: "error" }, words)),
    clear: () => fill(place),
  };
}
