// All that is asked of the server. Errors come as problem documents (RFC 9457); their detail says
// what to do, and is shown as it is.

import { token } from "./token.js";
import { timeOf } from "./units.js";

export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const PART = encodeURIComponent;

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server cannot be reached. Is it running?", 0);
  }
  if (!response.ok) throw new ServerError(await explanation(response), response.status);
  return response;
}

async function explanation(response) {
  try {
    const { detail, title } = await response.json();
    if (detail || title) return String(detail || title);
  } catch {
    // not JSON: the status has to do
  }
  return `The server answered ${response.status} ${response.statusText}`.trim() + ".";
}

const json = async (path, options) => (await ask(path, options)).json();

/** All addresses have the token in front: so players, pictures and links to files have it too. */
const at = (path) => `r/${token()}/${path}`;

const post = (path, body, headers = {}) =>
  json(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });

// ---------------------------------------------------------------- the archive

const PAGE = 200;
const range = (stream, from, to) => ({ from: timeOf(stream, from), to: timeOf(stream, to) });
const streamAt = (id) => at(`streams/${PART(id)}`);

export const archive = {
  /** The first ids that match a pattern, of those after one; `next`: after which others follow, or null. */
  async streams(pattern, after) {
    const query = new URLSearchParams({ match: pattern, limit: PAGE, ...(after && { after }) });
    const { streams, next } = await json(at(`streams?${query}`));
    return { ids: streams.map(({ id }) => id), next };
  },

  stream: (id) => json(streamAt(id)),

  /** `more`: rate, channels, depth, where they are not to be the stream's own. */
  audioUrl(stream, from, to, format, more = {}) {
    const query = new URLSearchParams({ ...range(stream, from, to), format, ...more });
    return `${streamAt(stream.id)}/audio?${query}`;
  },

  /** Raise the error that a file of this format would be answered with: browsers download errors too. */
  async tryFormat(stream, format, more) {
    await ask(archive.audioUrl(stream, 0, 1, format, more));
  },

  /** @returns {Promise<import("./waveform.js").Peaks>} */
  async peaks(stream, from, to, points) {
    const query = new URLSearchParams({ ...range(stream, from, to), n: points, format: "f32" });
    const response = await ask(`${streamAt(stream.id)}/peaks?${query}`);
    const values = new Float32Array(await response.arrayBuffer());
    return { channels: stream.channels, points: values.length / (3 * stream.channels), values };
  },
};

// ---------------------------------------------------------------- runes

const page = (path) => at(`api/page/${path}`);

export const hub = {
  session: () => json(page("session")),

  /** Let a user, who shows a token of theirs, answer for the master token. */
  register: (userToken) =>
    post("api/page/masters", { token: token() }, { Authorization: `Bearer ${userToken}` }),

  keys: () => json(page("keys")),
  revoke: (key) => ask(page(`keys/${PART(key)}`), { method: "DELETE" }),

  runes: () => json(page("runes")),
  forget: (rune) => ask(page(`runes/${PART(rune)}`), { method: "DELETE" }),
  setTarget: (rune, target) =>
    json(page(`runes/${PART(rune)}/target`), { method: "PUT", body: JSON.stringify(target) }),
  runs: (rune, limit, before = "") =>
    json(page(`runes/${PART(rune)}/runs?${new URLSearchParams({ limit, before })}`)),
  run: (run) => json(page(`runs/${PART(run)}`)),
  start: (rune, values) => post(page(`runes/${PART(rune)}/runs`), { values }),
  again: (run) => post(page(`runs/${PART(run)}/again`), {}),
  stop: (run) => post(page(`runs/${PART(run)}/stop`), {}),
  logsUrl: (run) => page(`runs/${PART(run)}/logs`),
  upload,

  /** Wait until something has changed since change `since`, or a while; the number of the latest. */
  async changed(since, signal) {
    const { number } = await json(page(`changes?since=${since}`), { signal });
    return number;
  },

  /** The begin of a text file. */
  async text(url, most) {
    const response = await ask(url, { headers: { Range: `bytes=0-${most - 1}` } });
    const text = await response.text();
    const size = Number(response.headers.get("Content-Range")?.split("/")[1] ?? 0);
    return size > most ? `${text}\n…` : text;
  },
};

/** Hand a file over; fetch cannot tell how far it is. `onProgress(part)`: 0 … 1. */
function upload(file, onProgress) {
  return new Promise((resolve, reject) => {
    const lost = `${file.name} could not be sent: the connection was lost. Try it again.`;
    const request = new XMLHttpRequest();
    request.open("POST", page(`uploads?${new URLSearchParams({ name: file.name })}`));
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / (total || 1));
    request.onerror = () => reject(new ServerError(lost, 0));
    request.onload = () => {
      const answer = parsed(request.responseText);
      if (request.status < 300) resolve({ upload: answer.id });
      else
        reject(
          new ServerError(
            answer.detail ?? `${file.name} was refused (${request.status}).`,
            request.status,
          ),
        );
    };
    request.send(file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
