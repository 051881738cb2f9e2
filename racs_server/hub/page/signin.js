// Where the server has users, one of them answers for the token of this page.

import { hub } from "./api.js";
import { freshId, h } from "./dom.js";

/** Whether the server refused something because it does not know who asks. */
export const isUnknown = (error) => error.status === 401;

/** Asks for a user's token; `done()` when the server takes it. */
export function signIn(done) {
  const [id, problem] = [freshId("user"), h("p", { class: "error", role: "alert" })];
  const input = h("input", { id, class: "code", autocomplete: "off", spellcheck: "false" });
  const submit = async (event) => {
    event.preventDefault();
    problem.textContent = "";
    try {
      await hub.register(input.value.trim());
      done();
    } catch (error) {
      problem.textContent = error.message;
    }
  };
  return h(
    "form",
    { class: "connect", on: { submit } },
    h("h2", { text: "Who are you?" }),
    h("p", {
      text:
        "This server has users. Enter a token of yours, once: from then on the runes and the archive " +
        "on this page are used in your name. Whoever runs the server makes one with racs-server token add.",
    }),
    h("label", { for: id, text: "Your access token" }),
    input,
    problem,
    h("button", { class: "primary", text: "Sign in" }),
  );
}
