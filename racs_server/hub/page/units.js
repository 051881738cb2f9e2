// Numbers as people and programs write them: pure functions. Positions in audio are sample frames.

export const FORMATS = [
  { mime: "audio/wav", label: "WAV" },
  { mime: "audio/x-bwf", label: "WAV with its time (BWF)" },
  { mime: "audio/flac", label: "FLAC" },
  { mime: "audio/aiff", label: "AIFF" },
  { mime: "audio/mpeg", label: "MP3" },
  { mime: "audio/opus", label: "Opus" },
  { mime: "audio/vorbis", label: "Ogg Vorbis" },
  { mime: "audio/x-raw", label: "PCM alone" },
  { mime: "audio/l16", label: "PCM, 16 bits, big-endian" },
  { mime: "audio/l24", label: "PCM, 24 bits, big-endian" },
];
export const RATES = [8000, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000];

/** 3725.5 → "1:02:05.5"; `digits` after the point. */
export function clock(seconds, digits = 1) {
  const scale = 10 ** digits;
  const all = Math.max(0, Math.floor(seconds * scale + 1e-6));
  const whole = Math.floor(all / scale);
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  const two = (number) => String(number).padStart(2, "0");
  const head = hours ? `${hours}:${two(minutes)}` : `${minutes}`;
  return `${head}:${two(rest)}` + (digits ? `.${String(all % scale).padStart(digits, "0")}` : "");
}

/** "1:02:05.5", "65.2" → seconds; NaN if it is neither. */
export function seconds(text) {
  const parts = text.trim().split(":");
  if (parts.length > 3 || !parts.every((part) => /^\d+(\.\d*)?$/.test(part))) return NaN;
  return parts.reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** How a length is said: "12.5 s", "3 min 20 s", "2 h 5 min". */
export function duration(length) {
  if (length < 60) return `${length < 10 ? Math.round(length * 100) / 100 : Math.round(length)} s`;
  const all = Math.round(length);
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  return `${Math.floor(all / 3600)} h ${Math.floor(all / 60) % 60} min`;
}

/** 1 → "mono" */
export const channelsInWords = (channels) =>
  ["", "mono", "stereo"][channels] ?? `${channels} channels`;

export function bytes(size) {
  if (size < 1000) return `${size} bytes`;
  const units = ["kB", "MB", "GB", "TB"];
  const power = Math.min(units.length, Math.floor(Math.log10(size) / 3));
  return `${(size / 1000 ** power).toPrecision(3)} ${units[power - 1]}`;
}

/** When something was, in this machine's time zone. */
export function moment(when) {
  const date = new Date(when);
  if (Number.isNaN(date.getTime())) return "";
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/**
 * The RFC 3339 time of sample frame `frame`, in whole microseconds, rounded down: sample frames are
 * at least 5 µs apart, so as the start or end of a range it means this frame and no other.
 */
export function timeOf(stream, frame) {
  const micros =
    BigInt(stream.ref) * 1000n + (BigInt(frame) * 1000000n) / BigInt(stream.sample_rate);
  const whole = new Date(Number(micros / 1000n)).toISOString().slice(0, -1);
  return `${whole}${String(micros % 1000n).padStart(3, "0")}Z`;
}

/** The Python that extracts [from, to) of a stream. */
export function pythonLine(stream, from, to) {
  const when = (frame) =>
    `datetime.fromisoformat("${timeOf(stream, frame).replace("Z", "+00:00")}")`;
  const id = JSON.stringify(stream.id);
  return `r.pipeline().extract(stream_id=${id}, frm=${when(from)}, to=${when(to)}).execute()`;
}
