// The runes of a token: who is connected, and the one that is looked at.

import { hub } from "./api.js";
import { button, copyButton, fill, h, name } from "./dom.js";
import { KeyList } from "./keys.js";
import { silence } from "./player.js";
import { RunePanel, badge } from "./rune.js";
import { isUnknown, signIn } from "./signin.js";
import { token } from "./token.js";

const RETRY = 3000; // ms after which a server that did not answer is asked again

export class RunesTab {
  constructor(go) {
    this.go = go;
    this.list = h("ul", { class: "streams" });
    this.status = h("p", { class: "hint", role: "status" });
    this.panel = h("section", { class: "panel", "aria-label": "Rune" });
    const another = button("Connect a rune", () => this.go(""));
    this.element = h(
      "div",
      { class: "two-columns" },
      h(
        "div",
        { class: "stream-list" },
        h("h2", { text: "Runes" }),
        this.status,
        this.list,
        another,
      ),
      this.panel,
    );
  }

  /** Show the rune with this connection token; "": how to connect one. */
  open(rune) {
    if (this.opened !== rune) this.#leaveRune();
    this.opened = rune;
    if (this.watching) this.#show().catch((error) => fill(this.status, error.message));
    else this.#watch();
  }

  leave() {
    this.watching?.abort();
    this.watching = null;
    this.runes = null;
    this.#leaveRune();
  }

  #leaveRune() {
    silence();
    this.shown = null;
    this.panel.replaceChildren();
  }

  /** Look again whenever the server says that something has changed, until the tab is left. */
  async #watch() {
    const watching = new AbortController();
    this.watching = watching;
    let change = -1;
    while (!watching.signal.aborted) {
      try {
        const next = await hub.changed(change, watching.signal);
        const [session, runes] = [await hub.session(), await hub.runes()];
        if (watching.signal.aborted) return;
        this.runes = runes;
        fill(
          this.status,
          session.problems.map((problem) => h("span", { class: "error", text: problem })),
        );
        await this.#show();
        change = next;
      } catch (error) {
        if (watching.signal.aborted) return;
        if (isUnknown(error)) {
          this.leave();
          this.#askWho();
          return;
        }
        fill(this.status, error.message);
        change = -1;
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    }
  }

  #askWho() {
    const again = () => {
      this.panel.replaceChildren();
      this.open(this.opened);
    };
    fill(this.panel, signIn(again));
  }

  async #show() {
    if (!this.runes) return;
    this.#showList();
    const rune = this.runes.find((each) => each.token === this.opened);
    if (!rune) {
      this.shown = null;
      if (!this.panel.querySelector(".connect")) {
        this.keys = new KeyList();
        fill(this.panel, connect(this.runes.length > 0), this.keys.element);
      }
      await this.keys.update();
      return;
    }
    if (!this.shown) {
      this.shown = new RunePanel(rune, () => this.go(""));
      fill(this.panel, this.shown.element);
    }
    await this.shown.update(rune);
  }

  /** Replace the rows only if they say something new: the focus stays where it is. */
  #showList() {
    const key = JSON.stringify([
      this.opened,
      this.runes.map(({ token, name, state }) => [token, name, state]),
    ]);
    if (key === this.key) return;
    this.key = key;
    const before = [...this.list.querySelectorAll("button")].indexOf(document.activeElement);
    const rows = this.runes.map((rune) => {
      const current = rune.token === this.opened && "true";
      const row = button("", () => this.go(rune.token), {
        class: "row",
        "aria-current": current,
        "data-token": rune.token,
      });
      row.append(name(rune.name), badge(rune.state));
      return row;
    });
    fill(
      this.list,
      rows.map((row) => h("li", {}, row)),
    );
    if (before >= 0) rows[before]?.focus();
  }
}

/** How a rune gets here. */
function connect(some) {
  const command = `racs rune run SCRIPT --hub ${location.origin} --token ${token()}`;
  return h(
    "div",
    { class: "connect" },
    h("h2", { text: some ? "Connect another rune" : "Connect a rune" }),
    h("p", {
      text:
        "A rune is a Python function that works on sound: it gets files and numbers from a form on " +
        "this page, and gives files back. Start yours with this command, and it appears here:",
    }),
    h("pre", { tabindex: "0" }, h("code", { text: command })),
    copyButton(() => command),
    h("p", {
      class: "hint",
      text:
        "Put the path of your script in the place of SCRIPT. The token is this page's: whoever has " +
        "it sees and runs your runes.",
    }),
  );
}
