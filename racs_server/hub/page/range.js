// A range of a stream: seen, heard, changed by every means. Ranges are [from, to) in sample frames.

import { archive } from "./api.js";
import { announce, button, freshId, h } from "./dom.js";
import { Player } from "./player.js";
import * as units from "./units.js";

const SHORTEST = 64; // sample frames that are shown at least
const ZOOM = 2;
const SETTLED = 150; // ms without a change, after which peaks are asked for

/** The range [from, to) after zooming by `factor` about `at`, a fraction of the range. */
export function zoomed({ from, to }, frames, factor, at = 0.5) {
  const length = Math.min(frames, Math.max(SHORTEST, Math.round((to - from) / factor)));
  const fixed = from + (to - from) * at;
  return within({ from: fixed - length * at, to: fixed - length * at + length }, frames);
}

/** The range after two fingers, put down at fractions `start` of it, have moved to `now`. */
export function pinched({ from, to }, frames, start, now) {
  const [left, right] = [...start].sort((a, b) => a - b);
  const [newLeft, newRight] = [...now].sort((a, b) => a - b);
  const factor = (newRight - newLeft) / Math.max(right - left, 1e-3);
  const length = Math.min(frames, Math.max(SHORTEST, (to - from) / Math.max(factor, 1e-3)));
  const first = from + (to - from) * left - length * newLeft;
  return within({ from: first, to: first + length }, frames);
}

/** The range moved by a fraction of its length. */
export function moved({ from, to }, frames, by) {
  const step = Math.round((to - from) * by);
  return within({ from: from + step, to: to + step }, frames);
}

/** The range moved and cut into [0, frames), its length kept if it can be. */
export function within({ from, to }, frames) {
  const length = Math.min(Math.round(to - from), frames);
  const start = Math.max(0, Math.min(Math.round(from), frames - length));
  return { from: start, to: start + length };
}

/** Shows a range of a stream, with all ways to change it, and plays it. */
export class RangeView {
  /** @param {(range: {from: number, to: number}) => void} onChange */
  constructor(stream, onChange = () => {}) {
    this.stream = stream;
    this.onChange = onChange;
    this.range = { from: 0, to: stream.frames };
    this.player = new Player({
      label: stream.id,
      origin: () => this.range.from / stream.sample_rate,
      onSelect: (from, to) => this.#select(from, to),
      onKey: (event) => this.#key(event),
      onPinch: (start, now) => this.#pinch(start, now),
    });
    const wave = this.player.waveform.element;
    wave.classList.add("tall");
    const help = freshId("help");
    wave.setAttribute("aria-describedby", help);
    wave.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    wave.addEventListener("dblclick", () => this.show({ from: 0, to: stream.frames }));
    this.overview = h("div", { class: "overview", "aria-hidden": "true" }, h("div"));
    this.overview.addEventListener("pointerdown", (event) => this.#jump(event));
    this.overview.addEventListener("pointermove", (event) => event.buttons && this.#jump(event));
    this.fields = ["from", "to"].map((end) => this.#field(end));
    this.problem = h("p", { class: "error", role: "alert", hidden: true, id: freshId("problem") });
    this.element = h(
      "div",
      { class: "range-view" },
      this.overview,
      this.player.element,
      h(
        "div",
        { class: "zoom", role: "group", "aria-label": "Range" },
        this.#buttons(),
        this.fields,
      ),
      this.problem,
      h("p", {
        id: help,
        class: "hint",
        text:
          "Drag over a stretch to see it alone; pinch, turn the wheel or press + and − to zoom, 0 for " +
          "all, Shift and ← → to move. Click or ← → to seek, Space to play.",
      }),
    );
    this.settling = 0;
    this.show(this.range);
  }

  show(range) {
    const { from, to } = range;
    const { sample_rate: rate, frames } = this.stream;
    const heard = (this.range.from - from) / rate + this.player.time;
    const seconds = (to - from) / rate;
    this.range = range;
    if (this.drawn) {
      const length = to - from || 1;
      this.player.waveform.stretch((this.drawn.from - from) / length, (this.drawn.to - from) / length);
    }
    const url = archive.audioUrl(this.stream, from, to, "audio/wav");
    this.player.load(url, seconds, heard > 0 && heard < seconds ? heard : 0);
    const [window] = this.overview.children;
    window.style.left = `${(100 * from) / (frames || 1)}%`;
    window.style.width = `${(100 * (to - from)) / (frames || 1)}%`;
    const digits = to - from < rate ? 4 : 2;
    for (const [field, frame] of [
      [this.fields[0], from],
      [this.fields[1], to],
    ]) {
      field.querySelector("input").value = units.clock(frame / rate, digits);
    }
    this.#complain("");
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.#draw(), SETTLED);
    this.onChange(range);
  }

  #field(end) {
    const id = freshId(end);
    const input = h("input", {
      id,
      class: "time",
      autocomplete: "off",
      on: { change: () => this.#typed(end, input) },
    });
    return h("label", { for: id }, h("span", { text: end === "from" ? "From" : "To" }), input);
  }

  #buttons() {
    const { frames } = this.stream;
    const act = (range) => () => this.show(range());
    return [
      button(
        "+",
        act(() => zoomed(this.range, frames, ZOOM)),
        { "aria-label": "Zoom in" },
      ),
      button(
        "−",
        act(() => zoomed(this.range, frames, 1 / ZOOM)),
        { "aria-label": "Zoom out" },
      ),
      button(
        "‹",
        act(() => moved(this.range, frames, -0.5)),
        { "aria-label": "Earlier" },
      ),
      button(
        "›",
        act(() => moved(this.range, frames, 0.5)),
        { "aria-label": "Later" },
      ),
      button(
        "All",
        act(() => ({ from: 0, to: frames })),
        { "aria-label": "All of the stream" },
      ),
    ];
  }

  #typed(end, input) {
    const frame = Math.round(units.seconds(input.value) * this.stream.sample_rate);
    const range = { ...this.range, [end]: Math.min(frame, this.stream.frames) };
    if (Number.isNaN(frame)) this.#complain("Write a time as 75.5 or 1:15.5.");
    else if (range.from >= range.to) this.#complain("The range has to end after it starts.");
    else this.show(range);
  }

  #complain(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }

  #select(from, to) {
    const length = this.range.to - this.range.from;
    const start = this.range.from + Math.round(from * length);
    const end = this.range.from + Math.round(to * length);
    this.show(within({ from: start, to: Math.max(end, start + SHORTEST) }, this.stream.frames));
  }

  #pinch(start, now) {
    if (this.pinch?.start !== start) this.pinch = { start, range: this.range };
    this.show(pinched(this.pinch.range, this.stream.frames, start, now));
  }

  #key(event) {
    const { range, stream } = this;
    const at = this.player.waveform.position;
    const after = {
      "+": () => zoomed(range, stream.frames, ZOOM, at),
      "=": () => zoomed(range, stream.frames, ZOOM, at),
      "-": () => zoomed(range, stream.frames, 1 / ZOOM, at),
      0: () => ({ from: 0, to: stream.frames }),
      ArrowLeft: event.shiftKey && (() => moved(range, stream.frames, -0.25)),
      ArrowRight: event.shiftKey && (() => moved(range, stream.frames, 0.25)),
    }[event.key];
    if (!after) return false;
    this.show(after());
    const rate = stream.sample_rate;
    announce(`${units.clock(this.range.from / rate)} to ${units.clock(this.range.to / rate)}`);
    return true;
  }

  #wheel(event) {
    const { range, stream } = this;
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    const box = event.currentTarget.getBoundingClientRect();
    const turn = Math.max(-1, Math.min(1, (event.deltaY || event.deltaX) / 100));
    const next = sideways
      ? moved(range, stream.frames, (0.2 * (event.deltaX || event.deltaY)) / 100)
      : zoomed(range, stream.frames, ZOOM ** -turn, (event.clientX - box.left) / box.width);
    if (next.from === range.from && next.to === range.to) return; // the page scrolls
    event.preventDefault();
    this.show(next);
  }

  #jump(event) {
    const box = this.overview.getBoundingClientRect();
    const middle = ((event.clientX - box.left) / box.width) * this.stream.frames;
    const half = (this.range.to - this.range.from) / 2;
    this.show(within({ from: middle - half, to: middle + half }, this.stream.frames));
  }

  async #draw() {
    const range = this.range;
    const { waveform } = this.player;
    if (range.from === range.to) return;
    try {
      const peaks = await archive.peaks(this.stream, range.from, range.to, waveform.points);
      if (range !== this.range) return;
      this.drawn = range;
      waveform.setPeaks(peaks);
    } catch (error) {
      this.#complain(error.message);
    }
  }
}
