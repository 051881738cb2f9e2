// The archive: its streams by pattern, and one of them: seen, heard, downloaded, cited.

import { archive } from "./api.js";
import { button, copyButton, fill, freshId, h, name } from "./dom.js";
import { downloads } from "./download.js";
import { silence } from "./player.js";
import { RangeView } from "./range.js";
import { isUnknown, signIn } from "./signin.js";
import * as units from "./units.js";

function inWords(count, more) {
  if (more) return `The first ${count} streams; there are more.`;
  if (!count) return "No stream matches.";
  return count === 1 ? "1 stream" : `${count} streams`;
}

/** A pattern and the streams that match it; `onOpen(id)` when one is chosen. */
export class StreamList {
  constructor(onOpen, onUnknown = () => {}) {
    this.onOpen = onOpen;
    this.onUnknown = onUnknown;
    const id = freshId("pattern");
    this.input = h("input", {
      id,
      type: "search",
      placeholder: "* for all, birds/2025-*",
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.#later() },
    });
    this.list = h("ul", { class: "streams" });
    this.status = h("p", { class: "hint", role: "status" });
    this.more = button("Show more", () => this.#load(this.next), { hidden: true });
    this.element = h(
      "div",
      { class: "stream-list" },
      h("label", { for: id, text: "Streams" }),
      this.input,
      this.status,
      this.list,
      this.more,
    );
  }

  #later() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.load(), 200);
  }

  /** A word alone is looked for anywhere in an id. */
  get pattern() {
    const text = this.input.value.trim();
    return /[*?[]/.test(text) ? text : `*${text}*`.replace("**", "*");
  }

  load() {
    return this.#load();
  }

  /** Show the streams after one, behind those that are shown; without it the first ones. */
  async #load(after) {
    const pattern = this.pattern;
    try {
      const found = await archive.streams(pattern, after);
      if (pattern === this.pattern && (!after || after === this.next)) this.#show(found, after);
    } catch (error) {
      if (!after) this.#show({ ids: [], next: null });
      this.status.textContent = error.message;
      if (isUnknown(error)) this.onUnknown();
    }
  }

  #show({ ids, next }, after) {
    if (!after) fill(this.list);
    this.list.append(...ids.map((id) => this.#row(id)));
    this.next = next;
    this.more.hidden = !next;
    this.status.textContent = inWords(this.list.children.length, next);
    this.mark(this.current);
  }

  #row(id) {
    const row = button("", () => this.onOpen(id), { class: "row", title: id, "data-id": id });
    row.append(name(id));
    return h("li", {}, row);
  }

  mark(id) {
    this.current = id;
    for (const row of this.list.querySelectorAll("button")) {
      if (row.dataset.id === id) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }
}

function facts(stream) {
  const { sample_rate: rate, channels, bit_depth: depth, frames, ref } = stream;
  const sound = `${rate / 1000} kHz, ${depth} bits, ${units.channelsInWords(channels)}`;
  const rows = [
    ["Format", sound],
    ["Length", frames ? units.duration(frames / rate) : "empty"],
    ["From", frames ? units.moment(ref) : "—"],
  ];
  return h(
    "dl",
    { class: "facts" },
    rows.map(([term, text]) => h("div", {}, h("dt", { text: term }), h("dd", { text }))),
  );
}

function streamPanel(stream) {
  const heading = h("h2", { tabindex: "-1" }, name(stream.id));
  if (!stream.frames) {
    return h(
      "article",
      { class: "stream" },
      heading,
      facts(stream),
      h("p", { text: "Nothing has been recorded yet." }),
    );
  }
  const line = h("code", { class: "python" });
  const view = new RangeView(stream, ({ from, to }) => {
    line.textContent = units.pythonLine(stream, from, to);
  });
  return h(
    "article",
    { class: "stream" },
    heading,
    facts(stream),
    view.element,
    downloads(view),
    h(
      "section",
      { class: "cite" },
      h("h3", { text: "In Python" }),
      h("pre", { tabindex: "0" }, line),
      copyButton(() => line.textContent),
    ),
  );
}

/** The tab: `open(id)` shows a stream, `go(id)` is called when one is chosen. */
export class ArchiveTab {
  constructor(go) {
    this.list = new StreamList(go, () => this.#askWho());
    this.panel = h("section", { class: "panel", "aria-label": "Stream" });
    this.element = h("div", { class: "two-columns" }, this.list.element, this.panel);
  }

  leave() {
    silence();
    this.loaded = false;
  }

  async open(id) {
    silence();
    this.list.mark(id);
    if (!this.loaded) this.list.load();
    this.loaded = true;
    this.opening = id;
    if (!id) {
      fill(
        this.panel,
        h("p", { class: "empty", text: "Choose a stream to see, hear and download it." }),
      );
      return;
    }
    try {
      const stream = await archive.stream(id);
      if (this.opening !== id) return;
      fill(this.panel, streamPanel(stream));
    } catch (error) {
      if (isUnknown(error)) this.#askWho();
      else fill(this.panel, h("p", { class: "error", role: "alert", text: error.message }));
    }
    this.panel.querySelector("h2")?.focus();
    this.panel.scrollIntoView({ block: "nearest" });
  }

  #askWho() {
    const again = () => {
      this.loaded = false;
      this.open(this.opening);
    };
    fill(this.panel, signIn(again));
  }
}
