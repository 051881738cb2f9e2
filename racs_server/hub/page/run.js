// One run: where it stands, what has come out of it, and what to do when it failed.

import { hub } from "./api.js";
import { announce, button, fill, h, icon, name } from "./dom.js";
import { FileCard } from "./files.js";
import { duration, moment } from "./units.js";

/** State of a run → in words. */
const STATES = {
  pending: "Waiting",
  processing: "Running",
  completed: "Done",
  error: "Failed",
  aborted: "Stopped",
};
const FINAL = ["completed", "error", "aborted"];
const MANY = 8; // files that are shown at once

/** What an error looks like → what to do. The first that fits counts. */
const ADVICE = [
  [
    /No module named '?([\w.]+)/,
    "A module is missing where the rune runs: install it there, then start the rune again.",
  ],
  [
    /out of memory|MemoryError/i,
    "It ran out of memory: try a shorter range, or a machine with more.",
  ],
  [
    /No such file|FileNotFoundError/,
    "It did not find a file: choose one for every file parameter, and run it again.",
  ],
  [
    /NoneType/,
    "It got nothing where it needed something: is a file missing in the form, or one that is " +
      "called a sound none?",
  ],
  [/restarted|reply did not come/, "Nothing is wrong with what you entered: run it again."],
  [
    /Failed to upload|upload/i,
    "A file could not be handed over: is it larger than the server allows?",
  ],
  [
    /timed? ?out|Connection/i,
    "Something that it needs did not answer: is its machine on the network?",
  ],
];

export const advice = (error) =>
  ADVICE.find(([pattern]) => pattern.test(error))?.[1] ??
  "The error comes from the rune itself: its author can tell more. The logs may show where.";

export class RunCard {
  /**
   * `position`: how many runs come before it; actions: stop(), again(), edit(run).
   */
  constructor(run, position, actions) {
    this.files = new Map();
    this.head = h("div", { class: "run-head" });
    this.bar = h("progress", { "aria-label": "Running", hidden: true });
    this.message = h("p", { class: "message" });
    this.problem = h("div", { class: "failure", hidden: true });
    this.list = h("ul", { class: "files" });
    this.rest = button("", () => this.#showRest(), { class: "small", hidden: true });
    this.logs = h("pre", { tabindex: "0", "aria-label": "Logs" });
    this.allLogs = h("p", { class: "hint" });
    this.logsPlace = h(
      "details",
      { class: "logs", hidden: true },
      h("summary", { text: "Logs" }),
      this.logs,
      this.allLogs,
    );
    this.trouble = h("p", { class: "error", role: "alert" });
    this.stop = button("", () => this.#try(actions.stop), { class: "small" });
    this.stop.append(icon("stop"), h("span", { text: "Stop" }));
    this.again = button("Run again", () => this.#try(actions.again), { class: "small" });
    this.edit = button("Edit", () => actions.edit(this.run), {
      class: "small",
      title: "Enter these values into the form",
    });
    this.word = h("span");
    this.when = h("span", { class: "when" });
    this.asked = h("p", { class: "asked" });
    this.head.append(this.word, this.when, this.stop, this.edit, this.again);
    this.element = h(
      "li",
      { class: "run" },
      this.head,
      this.asked,
      this.bar,
      this.trouble,
      this.problem,
      this.message,
      this.list,
      this.rest,
      this.logsPlace,
    );
    this.update(run, position);
  }

  async #try(action) {
    this.trouble.textContent = "";
    try {
      await action();
    } catch (error) {
      this.trouble.textContent = error.message;
    }
  }

  update(run, position) {
    const before = this.run;
    this.run = run;
    const over = FINAL.includes(run.state);
    const word = STATES[run.state] ?? run.state;
    this.word.className = `badge ${run.state}`;
    this.word.textContent = word;
    this.when.textContent = timing(run, position);
    this.stop.hidden = over;
    this.again.hidden = !over;
    this.edit.hidden = !over;
    this.bar.hidden = run.state !== "processing";
    fill(this.asked, name(inWords(run)));
    fill(this.message, run.message ? name(run.message) : null);
    this.#showError(run);
    this.#showLogs(run);
    this.#showFiles(run);
    if (before && (before.state !== run.state || before.outputs.length !== run.outputs.length)) {
      announce(`${word}. Files: ${run.outputs.length}.`);
    }
  }

  /** Whether nothing more will come of it. */
  get settled() {
    return FINAL.includes(this.run.state) && this.run.archived;
  }

  #showFiles({ outputs }) {
    for (const file of this.showsAll ? outputs : outputs.slice(0, MANY)) this.#showFile(file);
    this.rest.hidden = this.showsAll || outputs.length <= MANY;
    this.rest.textContent = `Show all ${outputs.length} files`;
  }

  #showRest() {
    this.showsAll = true;
    this.#showFiles(this.run);
    this.list.children[MANY].querySelector("a, button")?.focus(); // the button is gone
  }

  #showFile(file) {
    const key = `${file.number} ${file.name}`;
    const card = this.files.get(key);
    if (card) {
      card.update(file);
      return;
    }
    const made = new FileCard(file);
    this.files.set(key, made);
    this.list.append(made.element);
  }

  #showError({ error, state }) {
    const failed = state === "error" || Boolean(error);
    this.problem.hidden = !failed;
    if (!failed || this.error === error) return;
    this.error = error;
    const lines = (error || "It gave no reason.").trim().split("\n");
    fill(
      this.problem,
      h("p", { class: "cause" }, name(lines.at(-1))),
      h("p", { class: "advice", text: advice(error ?? "") }),
      lines.length > 1
        ? h(
            "details",
            {},
            h("summary", { text: "All of the error" }),
            h("pre", { tabindex: "0", text: error }),
          )
        : null,
    );
  }

  #showLogs({ id, logs, logs_size: size }) {
    this.logsPlace.hidden = !logs;
    if (!logs || this.logs.textContent === logs) return;
    this.logs.textContent = logs;
    const cut = size > [...logs].length;
    const link = h("a", { href: hub.logsUrl(id), target: "_blank", text: "All of them" });
    fill(this.allLogs, cut ? ["This is their end. ", link] : null);
  }
}

function timing({ state, created, started, ended }, position) {
  if (state === "pending") return position > 0 ? `after ${position} more` : "next";
  const begun = moment(started ?? created);
  return started && ended
    ? `${begun}, took ${duration((Date.parse(ended) - Date.parse(started)) / 1000)}`
    : begun;
}

/** "wet 0.3 · dry guitar.wav" */
function inWords({ values, inputs }) {
  return Object.entries(values)
    .map(
      ([param, value]) =>
        `${param} ${valueInWords(
          value,
          inputs.find((file) => file.parameter === param),
        )}`,
    )
    .join(" · ");
}

function valueInWords(value, file) {
  if (value === null) return "–";
  if (typeof value === "object") return value.stream ?? file?.name ?? "a file";
  const text = String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
