// A file that a rune gave out: shown by what it is, and always there to download.

import { archive, hub } from "./api.js";
import { fill, h, icon, name } from "./dom.js";
import { Player } from "./player.js";
import { bytes } from "./units.js";

const MOST_TEXT = 100_000; // bytes of a text file that are shown

/** Type → what shows a file that is there. */
const SHOWN = {
  image: (file) => h("img", { src: file.url, alt: file.name, loading: "lazy" }),
  video: (file) => h("video", { src: file.url, controls: true, preload: "metadata" }),
  text: (file) => text(file),
};

export class FileCard {
  constructor(file) {
    this.head = h("p", { class: "file-head" });
    this.body = h("div", { class: "file-body" });
    this.element = h("li", { class: "file" }, this.head, this.body);
    this.update(file);
  }

  /** A file comes first and its stream later: what is shown of it, or plays, stays. */
  update(file) {
    const before = this.file ?? {};
    if (JSON.stringify(before) === JSON.stringify(file)) return;
    this.file = file;
    fill(this.head, ...heading(file));
    if (file.type === "audio") {
      if (!this.player) {
        this.player = new Player({ label: file.name });
        if (file.url) this.player.load(file.url, 0);
        fill(this.body, this.player.element);
      }
      if (file.stream !== before.stream) playFromArchive(this.player, file);
    } else if (file.url !== before.url) {
      fill(this.body, file.url ? SHOWN[file.type]?.(file) : null);
    }
  }
}

function heading({ name: title, bytes: size, url, stream, problem }) {
  const to = stream && `#/archive/${encodeURIComponent(stream)}`;
  return [
    name(title),
    h("span", { class: "hint", text: size ? bytes(size) : "" }),
    to
      ? h("a", { href: to, "aria-label": `${title} in the archive`, text: "In the archive" })
      : null,
    url ? download(url, title) : null,
    problem ? h("span", { class: "error" }, name(problem)) : null,
  ];
}

function download(url, title) {
  const link = h("a", {
    class: "button small",
    href: url,
    download: title,
    "aria-label": `Download ${title}`,
  });
  link.append(icon("download"), h("span", { text: "Download" }));
  return link;
}

/** What is archived is played from there: browsers know WAV, but not all that runes give out. */
async function playFromArchive(player, { stream: id }) {
  if (!id) return;
  try {
    const stream = await archive.stream(id);
    if (!player.plays)
      player.load(
        archive.audioUrl(stream, 0, stream.frames, "audio/wav"),
        stream.frames / stream.sample_rate,
      );
    player.waveform.setPeaks(await archive.peaks(stream, 0, stream.frames, player.waveform.points));
  } catch {
    // the file itself is there, to play and to download
  }
}

function text(file) {
  const place = h("pre", { tabindex: "0", text: "…" });
  hub.text(file.url, MOST_TEXT).then(
    (content) => (place.textContent = content),
    (error) => (place.textContent = error.message),
  );
  return place;
}
