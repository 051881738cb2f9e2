// The keys by which runes speak for this page's token: what each is for, and an end to it.

import { hub } from "./api.js";
import { announce, button, fill, h, name } from "./dom.js";
import { moment } from "./units.js";

export class KeyList {
  constructor() {
    this.list = h("ul", { class: "keys" });
    this.problem = h("p", { class: "error", role: "alert" });
    this.title = h("summary");
    this.element = h(
      "details",
      { hidden: true },
      this.title,
      h("p", {
        class: "hint",
        text:
          "Each start of a rune makes a key, by which it speaks for this page's token. A rune whose " +
          "key is revoked is cut off at once; start it again to let it back in.",
      }),
      this.problem,
      this.list,
    );
  }

  async update() {
    const keys = await hub.keys();
    this.element.hidden = !keys.length;
    this.title.textContent = `Keys of runes (${keys.length})`;
    const shown = JSON.stringify(keys);
    if (shown === this.shown) return;
    this.shown = shown;
    fill(
      this.list,
      keys.map((key) => this.#row(key)),
    );
  }

  #row({ hash, name: script, created, runes }) {
    const title = runes.join(", ") || script || "A key without a name";
    const from = runes.length && script ? `${script}, ` : "";
    const unused = runes.length ? "" : ", no rune has it now";
    return h(
      "li",
      {},
      h(
        "div",
        {},
        name(title),
        h("p", { class: "hint", text: `${from}made ${moment(created)}${unused}` }),
      ),
      button("Revoke", () => this.#revoke(hash, title), {
        class: "small",
        "aria-label": `Revoke the key of ${title}`,
      }),
    );
  }

  async #revoke(hash, title) {
    this.problem.textContent = "";
    try {
      await hub.revoke(hash);
      await this.update();
      this.title.focus(); // the button is gone
      announce(`The key of ${title} is revoked.`);
    } catch (error) {
      this.problem.textContent = error.message;
    }
  }
}
