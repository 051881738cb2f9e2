// A play button, a waveform to seek in, and the time. One plays at a time.

import { button, h, icon } from "./dom.js";
import { clock, duration as lengthInWords } from "./units.js";
import { Waveform } from "./waveform.js";

const JUMP = 5; // seconds that an arrow key seeks, less in short audio

let playing = null;

export class Player {
  /**
   * @param {{label: string, onKey?: Function, onSelect?: Function, onPinch?: Function,
   *   origin?: () => number}} options
   *   onKey, onSelect, onPinch: as the waveform's; origin: the time at which the audio starts, in s.
   */
  constructor(options) {
    this.options = options;
    this.seconds = 0;
    this.start = 0;
    this.source = null;
    this.audio = h("audio", {
      preload: "none",
      on: {
        timeupdate: () => this.#show(),
        play: () => this.#started(),
        pause: () => this.#stopped(),
        ended: () => this.#stopped(),
        durationchange: () => this.#measured(),
        error: () => this.#failed(),
      },
    });
    this.waveform = new Waveform({
      label: `Position in ${options.label}`,
      describe: (at) => `${this.#time(at * this.seconds)} of ${lengthInWords(this.seconds)}`,
      onSeek: (at) => this.seek(at * this.seconds),
      onSelect: options.onSelect,
      onPinch: options.onPinch,
      onKey: (event) => this.#key(event),
    });
    this.toggleButton = button("", () => this.toggle(), { class: "play" });
    this.clock = h("span", { class: "clock" });
    this.problem = h("p", { class: "error", role: "alert", hidden: true });
    this.element = h(
      "div",
      { class: "player", role: "group", "aria-label": `Player: ${options.label}` },
      this.waveform.element,
      h("div", { class: "transport" }, this.toggleButton, this.clock),
      this.problem,
      this.audio,
    );
    this.#stopped();
  }

  /** Play this URL from now on; it is not asked for before someone presses play. */
  load(url, seconds, at = 0) {
    this.stop();
    this.audio.removeAttribute("src");
    this.source = url;
    this.seconds = seconds;
    this.start = at;
    this.problem.hidden = true;
    this.#show();
  }

  /** Where it plays, in seconds from the begin of what is loaded. */
  get time() {
    return this.audio.hasAttribute("src") ? this.audio.currentTime : this.start;
  }

  get plays() {
    return !this.audio.paused;
  }

  seek(seconds) {
    this.start = Math.max(0, Math.min(this.seconds, seconds));
    if (this.audio.hasAttribute("src")) this.audio.currentTime = this.start;
    this.#show();
  }

  async toggle() {
    if (this.plays) {
      this.audio.pause();
      return;
    }
    if (!this.source) return;
    if (!this.audio.hasAttribute("src")) {
      const start = this.start >= this.seconds ? 0 : this.start;
      this.audio.src = this.source;
      this.audio.currentTime = start;
    }
    try {
      await this.audio.play();
    } catch (error) {
      if (error.name !== "AbortError") this.#failed();
    }
  }

  stop() {
    this.audio.pause();
  }

  #key(event) {
    if (event.key === " " || event.key === "k") {
      this.toggle();
      return true;
    }
    if (this.options.onKey?.(event)) return true;
    const step = Math.min(JUMP, this.seconds / 20);
    if (event.key === "ArrowLeft" && !event.shiftKey) this.seek(this.time - step);
    else if (event.key === "ArrowRight" && !event.shiftKey) this.seek(this.time + step);
    else return false;
    return true;
  }

  #started() {
    if (playing && playing !== this) playing.stop();
    playing = this;
    this.#button("pause", "Pause");
    const tick = () => {
      if (!this.plays || !this.element.isConnected) return;
      this.#show();
      requestAnimationFrame(tick);
    };
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) tick();
  }

  #stopped() {
    this.#button("play", "Play");
    this.#show();
  }

  #button(which, label) {
    this.toggleButton.replaceChildren(icon(which), h("span", { text: label }));
    this.toggleButton.setAttribute("aria-label", `${label} ${this.options.label}`);
  }

  #measured() {
    if (!this.seconds && Number.isFinite(this.audio.duration)) this.seconds = this.audio.duration;
    this.#show();
  }

  #failed() {
    if (!this.audio.hasAttribute("src")) return;
    this.audio.removeAttribute("src");
    this.problem.textContent =
      "This cannot be played here. Download it, or reload the page and try again.";
    this.problem.hidden = false;
    this.#stopped();
  }

  #time(seconds) {
    const digits = this.seconds < 1 ? 4 : 1;
    return clock((this.options.origin?.() ?? 0) + seconds, digits);
  }

  #show() {
    const { time } = this;
    this.waveform?.setPosition(this.seconds ? time / this.seconds : 0);
    const end = this.seconds ? ` / ${this.#time(this.seconds)}` : "";
    this.clock.textContent = this.#time(time) + end;
  }
}

/** Silence whatever plays: what it belongs to is gone from the page. */
export function silence() {
  playing?.stop();
  playing = null;
}
