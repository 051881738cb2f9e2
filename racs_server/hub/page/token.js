// The master token: whoever has it sees the runes that were started with it.

import { button, copyButton, freshId, h } from "./dom.js";

const KEPT = "racs-tokens"; // a list, the one in use first
const MOST = 8;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

let tokens = kept();

/** This browser's token; made the first time. */
export function token() {
  if (!tokens.length) use(uuid4());
  return tokens[0];
}

/** Use the token that a link has after its #, as `racs rune run` prints one; false if it has none. */
export function useFromLink(text) {
  if (!UUID.test(text)) return false;
  use(text.toLowerCase());
  return true;
}

function use(text) {
  tokens = [text, ...tokens.filter((each) => each !== text)].slice(0, MOST);
  try {
    localStorage.setItem(KEPT, JSON.stringify(tokens));
  } catch {
    // a private window: they last as long as the page
  }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "[]").filter((each) => UUID.test(each));
  } catch {
    return [];
  }
}

/** A version 4 UUID (RFC 9562); crypto.randomUUID is missing without TLS. */
function uuid4() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Show the token in a dialog, where it can be copied and replaced; true if it was replaced. */
export function showToken() {
  return new Promise((resolve) => {
    const before = token();
    const [title, id, list] = [freshId("title"), freshId("token"), freshId("tokens")];
    const input = h("input", { id, list, class: "code", spellcheck: "false", autocomplete: "off" });
    const earlier = h(
      "datalist",
      { id: list },
      tokens.slice(1).map((each) => h("option", { value: each })),
    );
    input.value = before;
    const problem = h("p", { class: "error", role: "alert" });
    const dialog = h(
      "dialog",
      { "aria-labelledby": title },
      h("h2", { id: title, text: "Your token" }),
      h("p", {
        text:
          "Runes that are started with this token appear on this page, and whoever has it can run " +
          "them. To see the same runes in another browser, enter it there.",
      }),
      h("label", { for: id, text: "Token" }),
      h(
        "div",
        { class: "joined" },
        input,
        earlier,
        copyButton(() => input.value),
      ),
      problem,
      h(
        "div",
        { class: "actions" },
        button("Use this token", take, { class: "primary" }),
        button("Make a new one", () => (input.value = uuid4())),
        button("Close", () => dialog.close()),
      ),
    );

    function take() {
      const text = input.value.trim().toLowerCase();
      if (UUID.test(text)) {
        use(text);
        dialog.close();
      } else {
        problem.textContent = "A token looks like 0715c132-8a35-4c7e-9d55-2b6a6c0b6f3e.";
        input.focus();
      }
    }

    input.addEventListener("keydown", (event) => event.key === "Enter" && take());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(token() !== before);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
