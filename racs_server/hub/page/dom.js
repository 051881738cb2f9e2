// Elements made from data. Text becomes text nodes, never markup: names, logs and messages come from
// strangers.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element. `props`: `on` = listeners, `text` = its text, what is false or null is left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  const { on = {}, text, ...rest } = props;
  for (const [name, value] of Object.entries(rest)) {
    if (value === false || value === null || value === undefined) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  if (text !== undefined) element.textContent = text;
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A name as its author wrote it, kept from turning the text around it. */
export const name = (text) => h("bdi", { class: "name", text });

const ICONS = {
  play: "M4 2.5v11l9-5.5z",
  pause: "M4 2.5h3v11H4zM9 2.5h3v11H9z",
  stop: "M3.5 3.5h9v9h-9z",
  download: "M7 1.5h2v6.2l2.6-2.6L13 6.5l-5 5-5-5 1.4-1.4L7 7.7zM2.5 12.5h11v2h-11z",
};

/** Make one of the drawings above; it says nothing to screen readers. */
export function icon(which) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[which]);
  svg.append(path);
  return svg;
}

export function button(text, action, props = {}) {
  return h("button", { type: "button", on: { click: action }, ...props }, text);
}

/** Say something to screen readers without moving the focus. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** A button that copies what `text()` gives, and says that it did. */
export function copyButton(text, label = "Copy") {
  const copy = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      copyOldWay(text());
    }
    copy.textContent = "Copied";
    announce("Copied");
    setTimeout(() => (copy.textContent = label), 1500);
  });
  return copy;
}

/** Pages that did not come over TLS from another machine have no clipboard object. */
function copyOldWay(text) {
  const area = h("textarea", { class: "unseen" });
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** Replace an element's children, unless they are the same already. */
export function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat().filter((child) => child !== null && child !== undefined),
  );
  return element;
}

let ids = 0;

/** An id for `for`, `aria-describedby` and their like. */
export const freshId = (prefix) => `${prefix}-${++ids}`;
