// Makes a file of the range that is shown, in any format.

import { archive } from "./api.js";
import { button, freshId, h, icon } from "./dom.js";
import * as units from "./units.js";

const own = (text) => ["", text];

/** What a file can be converted to → parameter, label, [value, text]. */
const conversions = ({ sample_rate: rate, channels, bit_depth: depth }) => [
  [
    "rate",
    "Sample rate",
    [
      own(`${rate / 1000} kHz`),
      ...units.RATES.filter((each) => each !== rate).map((each) => [each, `${each / 1000} kHz`]),
    ],
  ],
  [
    "channels",
    "Channels",
    [
      own(units.channelsInWords(channels)),
      ...[1, 2]
        .filter((each) => each !== channels)
        .map((each) => [each, units.channelsInWords(each)]),
    ],
  ],
  [
    "depth",
    "Bits",
    [own(depth), ...[16, 24].filter((each) => each !== depth).map((each) => [each, each])],
  ],
];

function labelledSelect(label, options) {
  const id = freshId("select");
  const select = h(
    "select",
    { id },
    options.map(([value, text]) => h("option", { value, text: String(text) })),
  );
  return { select, element: h("label", { for: id }, h("span", { text: label }), select) };
}

export function downloads(view) {
  const { stream } = view;
  const format = labelledSelect(
    "Format",
    units.FORMATS.map(({ label }, index) => [index, label]),
  );
  const rest = conversions(stream).map(([key, ...label]) => ({ key, ...labelledSelect(...label) }));
  const problem = h("p", { class: "error", role: "alert" });
  const link = h("a", { hidden: true, download: true });
  const save = button("", async () => {
    const { mime } = units.FORMATS[format.select.value];
    const more = Object.fromEntries(
      rest.filter(({ select }) => select.value).map(({ key, select }) => [key, select.value]),
    );
    const { from, to } = view.range;
    problem.textContent = "";
    try {
      await archive.tryFormat(stream, mime, more);
      link.href = archive.audioUrl(stream, from, to, mime, more);
      link.click();
    } catch (error) {
      problem.textContent = error.message;
    }
  });
  save.append(icon("download"), h("span", { text: "Download" }));
  return h(
    "section",
    { class: "download", "aria-label": "Download" },
    h(
      "div",
      { class: "downloads" },
      format.element,
      rest.map(({ element }) => element),
      save,
      link,
    ),
    problem,
  );
}
