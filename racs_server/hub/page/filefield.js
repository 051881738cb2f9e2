// A file for a rune: picked, dropped, a range of an archived stream, or none.
//
// What it reads is a File; {stream, start, stop} in sample frames; {upload}: a file that the hub has;
// null: none, deliberately; undefined: nothing was chosen yet.

import { archive } from "./api.js";
import { StreamList } from "./archive.js";
import { button, fill, freshId, h, name } from "./dom.js";
import { silence } from "./player.js";
import { RangeView } from "./range.js";
import * as units from "./units.js";

export class FileField {
  constructor(param) {
    this.param = param;
    this.chosen = undefined;
    const id = freshId("file");
    const problem = h("p", { class: "error", id: freshId("problem"), role: "alert" });
    this.picker = h("input", {
      type: "file",
      id,
      class: "unseen",
      "aria-describedby": problem.id,
      on: { change: () => this.picker.files.length && this.set(this.picker.files[0]) },
    });
    this.shown = h("p", { class: "chosen", role: "status" });
    this.without = h("input", {
      type: "checkbox",
      id: freshId("none"),
      on: { change: () => this.set(this.without.checked ? null : undefined) },
    });
    this.area = h(
      "div",
      {
        class: "drop",
        on: {
          dragover: (event) => this.#over(event, true),
          dragleave: (event) => this.#over(event, false),
          drop: (event) => this.#drop(event),
        },
      },
      this.shown,
      h(
        "div",
        { class: "actions" },
        h("label", { for: id, class: "button" }, "Choose a file"),
        button("From the archive", () => this.#browse()),
        h("label", { for: this.without.id, class: "none" }, this.without, "No file"),
      ),
    );
    this.element = h(
      "div",
      { class: "field", role: "group", "aria-label": param.name },
      h("label", { for: id }, name(param.name)),
      this.picker,
      this.area,
      problem,
    );
  }

  read() {
    return this.chosen;
  }

  set(chosen) {
    this.chosen = chosen;
    this.without.checked = chosen === null;
    if (!(chosen instanceof File)) this.picker.value = "";
    fill(this.shown, describe(this.chosen));
    this.element.dispatchEvent(new Event("change"));
  }

  #over(event, over) {
    event.preventDefault();
    this.area.classList.toggle("over", over);
  }

  #drop(event) {
    this.#over(event, false);
    const [file] = event.dataTransfer.files;
    if (file) this.set(file);
  }

  async #browse() {
    const chosen = await chooseFromArchive();
    if (chosen) this.set(chosen);
  }
}

function describe(chosen) {
  if (chosen === undefined) return "Drop a file here, or";
  if (chosen === null) return "No file";
  if (chosen instanceof File) return [name(chosen.name), ` ${units.bytes(chosen.size)}`];
  if (chosen.stream) return [name(chosen.stream), chosen.words ? ` ${chosen.words}` : ""];
  return [name(chosen.name ?? "the same file as before")];
}

/** Ask for a range of a stream; undefined if the person thinks better of it. */
function chooseFromArchive() {
  return new Promise((resolve) => {
    let view = null;
    const panel = h(
      "div",
      { class: "panel" },
      h("p", { class: "empty", text: "Choose a stream." }),
    );
    const use = h("button", {
      class: "primary",
      value: "use",
      disabled: true,
      text: "Use this range",
    });
    const list = new StreamList(async (id) => {
      list.mark(id);
      view = null;
      use.disabled = true;
      try {
        const stream = await archive.stream(id);
        if (list.current !== id) return;
        if (!stream.frames) throw new Error("Nothing has been recorded in this stream yet.");
        view = new RangeView(stream);
        use.disabled = false;
        fill(panel, h("h3", {}, name(id)), view.element);
      } catch (error) {
        fill(panel, h("p", { class: "error", role: "alert", text: error.message }));
      }
    });
    const title = freshId("title");
    const dialog = h(
      "dialog",
      { class: "wide", "aria-labelledby": title },
      h(
        "form",
        { method: "dialog" },
        h("h2", { id: title, text: "From the archive" }),
        h("div", { class: "two-columns" }, list.element, panel),
        h(
          "div",
          { class: "actions" },
          use,
          h("button", { value: "", formnovalidate: true, text: "Cancel" }),
        ),
      ),
    );
    // Enter in a text field means that field, not the first button
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches("input")) {
        event.preventDefault();
        event.target.dispatchEvent(new Event("change"));
      }
    });
    dialog.addEventListener("close", () => {
      silence();
      dialog.remove();
      resolve(dialog.returnValue === "use" && view ? excerpt(view) : undefined);
    });
    document.body.append(dialog);
    dialog.showModal();
    list.load();
  });
}

function excerpt({ stream, range: { from, to } }) {
  const rate = stream.sample_rate;
  const words = `${units.clock(from / rate)} – ${units.clock(to / rate)}`;
  return { stream: stream.id, start: from, stop: to, words };
}
