// One rune: what it says of itself, its form, the sound that it gets, and its runs.

import { hub } from "./api.js";
import { announce, button, fill, freshId, h, name } from "./dom.js";
import { RuneForm } from "./form.js";
import { RunCard } from "./run.js";

const HISTORY = 20; // runs that are fetched at once

/** State of a rune → in a word. */
const STATES = {
  ready: "Ready",
  loading: "Starting",
  busy: "Running",
  gone: "Restart it",
  unknown: "Restart it",
};
export const badge = (state) =>
  h("span", { class: `badge ${state}`, text: STATES[state] ?? state });

export class RunePanel {
  /** @param {() => void} onForgotten */
  constructor(rune, onForgotten) {
    this.onForgotten = onForgotten;
    this.cards = [];
    this.head = h("header", { class: "rune-head" });
    this.formPlace = h("div");
    this.targetPlace = h("div");
    this.sending = h("p", { class: "hint", role: "status" });
    this.problem = h("p", { class: "error", role: "alert" });
    this.runs = h("ol", { class: "runs", reversed: true });
    this.more = button("Earlier runs", () => this.#try(() => this.#earlier()), { hidden: true });
    this.element = h(
      "article",
      { class: "rune" },
      this.head,
      this.formPlace,
      this.sending,
      this.problem,
      h("section", { "aria-label": "Runs" }, h("h3", { text: "Runs" }), this.runs, this.more),
      this.targetPlace,
    );
  }

  /** Show what is new; what is being entered stays, unless the parameters have changed. */
  async update(rune) {
    this.rune = rune;
    this.#renew("head", [rune.name, rune.author, rune.version, rune.description, rune.state], () =>
      fill(this.head, ...heading(rune)),
    );
    this.#renew("form", rune.form, () => {
      this.form = new RuneForm(rune.form, (values) => this.#run(values));
      fill(this.formPlace, rune.state === "unknown" ? null : this.form.element);
    });
    this.#renew("target", rune.target, () => fill(this.targetPlace, this.#settings(rune)));
    const runs = await hub.runs(rune.token, HISTORY);
    if (!this.cards.length) this.more.hidden = runs.length < HISTORY;
    this.#show([...runs, ...(await this.#olderOnes(runs))]);
  }

  /** Those that are shown, are not among the latest, and are not over. */
  async #olderOnes(latest) {
    const ids = new Set(latest.map((run) => run.id));
    const older = this.cards.filter((card) => !card.settled && !ids.has(card.run.id));
    const waits = ({ id, state }) => state === "pending" && this.rune.waiting.includes(id);
    return Promise.all(older.map(({ run }) => (waits(run) ? run : hub.run(run.id))));
  }

  /** Make a part anew only if what it shows has changed. */
  #renew(part, data, make) {
    const key = JSON.stringify(data);
    this.keys ??= {};
    if (this.keys[part] === key) return;
    this.keys[part] = key;
    make();
  }

  async #try(action) {
    this.problem.textContent = "";
    try {
      await action();
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }

  async #run(values) {
    const { runButton } = this.form;
    runButton.disabled = true;
    await this.#try(async () => {
      const sent = {};
      for (const [param, value] of Object.entries(values)) {
        sent[param] = value instanceof File ? await this.#upload(value) : value;
      }
      this.#show([await hub.start(this.rune.token, sent)]);
      announce("The run is on its way.");
    });
    this.sending.textContent = "";
    runButton.disabled = false;
  }

  #upload(file) {
    return hub.upload(file, (part) => {
      this.sending.textContent = `Sending ${file.name}: ${Math.round(100 * part)} %`;
    });
  }

  /** Enter the values of a run into the form; its files come from the archive. */
  #edit(run) {
    const values = { ...run.values };
    for (const file of run.inputs) {
      if (file.stream) values[file.parameter] = { stream: file.stream };
      else if (values[file.parameter]) values[file.parameter].name = file.name;
    }
    this.form.set(values);
    this.form.element.scrollIntoView({ block: "start" });
    this.form.element.querySelector("input, textarea, select")?.focus({ preventScroll: true });
  }

  async #earlier() {
    const runs = await hub.runs(this.rune.token, HISTORY, this.cards.at(-1).run.id);
    this.more.hidden = runs.length < HISTORY;
    this.#show(runs);
  }

  #show(runs) {
    for (const run of runs) {
      const position = this.rune.waiting.indexOf(run.id) + this.rune.running.length;
      const card = this.cards.find((each) => each.run.id === run.id);
      if (card) card.update(run, position);
      else this.cards.push(this.#card(run, position));
    }
    this.cards.sort((a, b) => Date.parse(b.run.created) - Date.parse(a.run.created));
    this.cards.forEach(({ element }, index) => {
      const there = this.runs.children[index];
      if (there !== element) this.runs.insertBefore(element, there ?? null);
    });
  }

  #card(run, position) {
    return new RunCard(run, position, {
      stop: () => hub.stop(run.id),
      again: async () => this.#show([await hub.again(run.id)]),
      edit: (latest) => this.#edit(latest),
    });
  }

  #settings({ token, target }) {
    const fields = Object.entries(TARGETS).map(([key, [label, choices]]) => {
      const id = freshId("target");
      const select = h(
        "select",
        { id },
        choices.map(([value, text]) => h("option", { value: String(value), text })),
      );
      select.value = String(target[key]);
      select.addEventListener("change", () => {
        const [value] = choices.find(([each]) => String(each) === select.value);
        this.#try(() => hub.setTarget(token, { [key]: value }));
      });
      return h("div", { class: "field" }, h("label", { for: id, text: label }), select);
    });
    const forget = button("Remove this rune from the page", () =>
      this.#try(async () => {
        await hub.forget(token);
        this.onForgotten();
      }),
    );
    return h(
      "details",
      { class: "settings" },
      h("summary", { text: "Settings" }),
      h("p", {
        class: "hint",
        text: "Sound is converted to this before the rune gets it; what it was stays in the archive.",
      }),
      h("div", { class: "grid" }, fields),
      forget,
    );
  }
}

function heading(rune) {
  const by = [rune.author && `by ${rune.author}`, rune.version && `version ${rune.version}`];
  const advice = rune.advice && `${rune.advice[0].toUpperCase()}${rune.advice.slice(1)}.`;
  return [
    h("h2", {}, name(rune.name), badge(rune.state)),
    h("p", { class: "byline" }, name(by.filter(Boolean).join(", "))),
    rune.description ? h("p", { class: "description" }, name(rune.description)) : null,
    advice ? h("p", { class: "hint", role: "status", text: advice }) : null,
  ];
}

const same = (...values) => values.map((value) => [value, String(value)]);

/** What can be set of the sound that a rune gets → label, [value, text]. */
const TARGETS = {
  sample_rate: ["Sample rate (Hz)", same(22050, 32000, 44100, 48000)],
  bit_depth: ["Bits", same(16, 24)],
  channels: [
    "Channels",
    [
      [1, "mono"],
      [2, "stereo"],
    ],
  ],
  format: ["Format", same("wav", "mp3", "aif", "aiff", "flac")],
};
