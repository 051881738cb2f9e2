// Starts the page: which tab is shown is in the address after #, so that Back works and links can be kept.

import { ArchiveTab } from "./archive.js";
import { RunesTab } from "./runes.js";
import { showToken, useFromLink } from "./token.js";

const main = document.getElementById("main");
const go = (tab, id) => (location.hash = `#/${tab}/${encodeURIComponent(id)}`);
const tabs = {
  runes: new RunesTab((token) => go("runes", token)),
  archive: new ArchiveTab((id) => go("archive", id)),
};

function route() {
  if (useFromLink(location.hash.slice(1))) {
    // the token does not stay in the address, where others may see it
    history.replaceState(null, "", "#/runes/");
    for (const tab of Object.values(tabs)) tab.leave();
  }
  const [tab, id] = location.hash.slice(2).split("/");
  if (location.hash === "#main") return;
  const known = Object.hasOwn(tabs, tab) ? tab : "runes";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const { element } = tabs[known];
  if (element.parentNode !== main) main.replaceChildren(element);
  document.title = `${known === "runes" ? "Runes" : "Archive"} · racs`;
  for (const [each, shown] of Object.entries(tabs)) if (each !== known) shown.leave();
  tabs[known].open(decoded(id));
}

function decoded(text) {
  try {
    return decodeURIComponent(text ?? "");
  } catch {
    return "";
  }
}

document.getElementById("token-button").addEventListener("click", async () => {
  if (await showToken()) {
    for (const tab of Object.values(tabs)) tab.leave();
    if (location.hash === "#/runes/") route();
    else go("runes", "");
  }
});
window.addEventListener("hashchange", route);
route();
