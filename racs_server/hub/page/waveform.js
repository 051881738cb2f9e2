// A waveform on a canvas: one lane a channel, greatest and least as outline, RMS as the darker core.
// It is a slider to keyboards and screen readers; positions are fractions of what is drawn.

import { h } from "./dom.js";

const MAX_LANES = 8;
const STEP = 0.02;
const DRAG = 6; // pixels that a pointer moves before it drags

/** @typedef {{channels: number, points: number, values: Float32Array}} Peaks
 *  values: least, greatest, RMS of each point and channel, full scale being 1. */

export class Waveform {
  /**
   * @param {{label: string, describe: (at: number) => string, onSeek: (at: number) => void,
   *   onSelect?: (from: number, to: number) => void, onKey?: (event: KeyboardEvent) => boolean,
   *   onPinch?: (start: number[], now: number[]) => void}} options
   *   describe: a position in words; onSelect: a stretch was dragged over; onKey: true if it took a key;
   *   onPinch: where two fingers were put down (the same array until they are lifted), and are now.
   */
  constructor(options) {
    this.options = options;
    this.peaks = null;
    this.position = 0;
    this.selection = null;
    this.span = [0, 1]; // of what is shown, which the peaks cover
    this.fingers = new Map(); // id of each pointer that is down → where it is
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.element = h(
      "div",
      {
        class: "waveform",
        role: "slider",
        tabindex: "0",
        "aria-label": options.label,
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        on: {
          keydown: (event) => this.#key(event),
          pointerdown: (event) => this.#press(event),
          pointermove: (event) => this.#move(event),
          pointerup: (event) => this.#release(event),
          pointercancel: (event) => this.#lift(event),
        },
      },
      this.canvas,
    );
    this.setPosition(0);
    new ResizeObserver(() => this.draw()).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** How many points are worth asking for. */
  get points() {
    const width = this.element.clientWidth || 600;
    return Math.max(100, Math.min(4000, Math.round(width * devicePixelRatio)));
  }

  setPeaks(peaks) {
    this.peaks = peaks;
    this.stretch(0, 1);
  }

  /** Show the peaks between these fractions, which can be beyond the edges, until better ones come. */
  stretch(from, to) {
    this.span = [from, to];
    this.draw();
  }

  setPosition(fraction) {
    this.position = Math.max(0, Math.min(1, fraction || 0));
    this.element.setAttribute("aria-valuenow", String(Math.round(this.position * 100)));
    this.element.setAttribute("aria-valuetext", this.options.describe(this.position));
    this.draw();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.options.onKey?.(event)) {
      event.preventDefault();
      return;
    }
    const to = {
      ArrowLeft: this.position - STEP,
      ArrowDown: this.position - STEP,
      ArrowRight: this.position + STEP,
      ArrowUp: this.position + STEP,
      PageDown: this.position - 5 * STEP,
      PageUp: this.position + 5 * STEP,
      Home: 0,
      End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.options.onSeek(Math.max(0, Math.min(1, to)));
  }

  #at(event) {
    const box = this.element.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  }

  #press(event) {
    if (event.button) return;
    this.element.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, this.#at(event));
    if (this.options.onPinch && this.fingers.size > 1) {
      this.#drop();
      this.pinched = this.fingers.size === 2 ? [...this.fingers.values()] : null;
    } else {
      this.pressed = { x: event.clientX, at: this.#at(event) };
    }
  }

  #move(event) {
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, this.#at(event));
    if (this.pinched) this.options.onPinch(this.pinched, [...this.fingers.values()]);
    if (!this.pressed || !this.options.onSelect) return;
    if (!this.selection && Math.abs(event.clientX - this.pressed.x) < DRAG) return;
    this.selection = [this.pressed.at, this.#at(event)].sort((a, b) => a - b);
    this.draw();
  }

  #release(event) {
    this.fingers.delete(event.pointerId);
    this.pinched = null;
    if (!this.pressed) return;
    const selection = this.selection;
    const at = this.#at(event);
    this.#drop();
    if (selection) this.options.onSelect(...selection);
    else this.options.onSeek(at);
  }

  #lift(event) {
    this.fingers.delete(event.pointerId);
    this.pinched = null;
    this.#drop();
  }

  #drop() {
    this.pressed = null;
    this.selection = null;
    this.draw();
  }

  draw() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.#paint();
    });
  }

  #paint() {
    const [width, height] = [this.element.clientWidth, this.element.clientHeight];
    if (!width || !height) return;
    const scale = devicePixelRatio;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    const context = this.canvas.getContext("2d");
    const style = getComputedStyle(this.element);
    const colours = Object.fromEntries(
      ["line", "accent", "ink", "wave", "wave-core", "played", "played-core"].map((name) => [
        name,
        style.getPropertyValue(`--${name}`).trim(),
      ]),
    );
    context.scale(scale, scale);
    const lanes = Math.max(1, Math.min(MAX_LANES, this.peaks?.channels ?? 1));
    for (let lane = 0; lane < lanes; lane++) {
      const middle = ((lane + 0.5) * height) / lanes;
      context.fillStyle = colours.line;
      context.fillRect(0, Math.round(middle), width, 1);
      if (this.peaks?.points) {
        this.#paintLane(context, lane, middle, (0.46 * height) / lanes, width, colours);
      }
    }
    if (this.selection) {
      const [from, to] = this.selection;
      context.globalAlpha = 0.2;
      context.fillStyle = colours.accent;
      context.fillRect(from * width, 0, (to - from) * width, height);
      context.globalAlpha = 1;
    }
    context.fillStyle = colours.ink;
    context.fillRect(Math.min(width - 2, this.position * width), 0, 2, height);
  }

  #paintLane(context, lane, middle, half, width, colours) {
    const { channels, points, values } = this.peaks;
    const [start, end] = this.span;
    const step = ((end - start) * width) / points;
    const bar = Math.max(step, 1);
    const played = this.position * width;
    for (let point = 0; point < points; point++) {
      const at = 3 * (point * channels + lane);
      const [least, greatest, rms] = [values[at], values[at + 1], values[at + 2]];
      const x = start * width + point * step;
      if (x + bar < 0 || x > width) continue;
      const tone = x < played ? "played" : "wave";
      context.fillStyle = colours[tone];
      const top = middle - Math.min(1, greatest) * half;
      context.fillRect(x, top, bar, Math.max(1, middle - Math.max(-1, least) * half - top));
      context.fillStyle = colours[`${tone}-core`];
      context.fillRect(x, middle - rms * half, bar, 2 * rms * half);
    }
  }
}
