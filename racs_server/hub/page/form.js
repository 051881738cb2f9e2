// The form of a rune: one field a parameter, by its component, checked before it is sent.
//
// A field is {param, element, read, set}: read() gives what was entered, raw; set(value) enters one.
// check(param, raw) decides, purely, what is sent of it: {value} or {error}.

import { button, fill, freshId, h, name } from "./dom.js";
import { FileField } from "./filefield.js";

const FEW = 4; // options that are shown all at once

/** What a parameter has where nothing is entered; a file: undefined. */
export function initial(param) {
  if (param.component === "choice" && !param.options.includes(param.default))
    return param.options[0];
  return param.component === "file" ? undefined : param.default;
}

/** @returns {{value: any} | {error: string}} */
export function check(param, raw) {
  if (param.component === "choice") {
    return param.options.includes(raw) ? { value: raw } : { error: "Choose one of these." };
  }
  if (param.type === "int" || param.type === "float") return checkNumber(param, raw);
  if (param.component === "file" && raw === undefined) {
    return { error: "Choose a file, or say that there is none." };
  }
  return { value: raw };
}

function checkNumber(param, raw) {
  const text = String(raw).trim().replace(",", ".");
  const whole = param.type === "int";
  const pattern = whole ? /^[+-]?\d+$/ : /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
  if (!pattern.test(text)) return { error: whole ? "Write a whole number." : "Write a number." };
  const value = Number(text);
  if (whole ? !Number.isSafeInteger(value) : !Number.isFinite(value)) {
    return { error: "This number is too large." };
  }
  const { min, max } = param.component === "slider" ? param : {};
  if (isNumber(min) && value < min) return { error: `At least ${min}.` };
  if (isNumber(max) && value > max) return { error: `At most ${max}.` };
  return { value };
}

const isNumber = (value) => typeof value === "number";

// ---------------------------------------------------------------- the kinds of fields

const FIELDS = {
  slider: (param) =>
    (isNumber(param.min) && isNumber(param.max) ? sliderField : numberField)(param),
  choice: (param) => (param.options.length > FEW ? selectField : radioField)(param),
  number: numberField,
  switch: switchField,
  text: textField,
  file: (param) => new FileField(param),
};

const makeField = (param) => FIELDS[param.component](param);

/** The label above, the error below, and the control tied to both. */
function frame(param, control, ...around) {
  const problem = h("p", { class: "error", id: freshId("problem"), role: "alert" });
  const label = h("label", { for: control.id }, name(param.name));
  control.setAttribute("aria-describedby", problem.id);
  return h("div", { class: "field" }, label, around.length ? around : control, problem);
}

function textField(param) {
  const control = h("textarea", { id: freshId("text"), rows: "1", spellcheck: "false" });
  return {
    param,
    element: frame(param, control),
    read: () => control.value,
    set: (value) => (control.value = value),
  };
}

function numberInput(param) {
  const whole = param.type === "int";
  return h("input", {
    id: freshId("number"),
    class: "number",
    inputmode: whole ? "numeric" : "decimal",
    autocomplete: "off",
  });
}

function numberField(param) {
  const control = numberInput(param);
  return {
    param,
    element: frame(param, control),
    read: () => control.value,
    set: (value) => (control.value = value),
  };
}

function sliderField(param) {
  const number = numberInput(param);
  const slider = h("input", {
    type: "range",
    min: param.min,
    max: param.max,
    step: param.step || (param.type === "int" ? 1 : "any"),
    "aria-label": param.name,
  });
  slider.addEventListener("input", () => (number.value = slider.value));
  number.addEventListener("input", () => (slider.value = number.value));
  return {
    param,
    element: frame(
      param,
      number,
      h("div", { class: "slider" }, slider, number),
      h(
        "div",
        { class: "ends", "aria-hidden": "true" },
        h("span", { text: param.min }),
        h("span", { text: param.max }),
      ),
    ),
    read: () => number.value,
    set: (value) => {
      number.value = value;
      slider.value = value;
    },
  };
}

function switchField(param) {
  const control = h("input", { type: "checkbox", role: "switch", id: freshId("switch") });
  return {
    param,
    element: frame(param, control),
    read: () => control.checked,
    set: (value) => (control.checked = Boolean(value)),
  };
}

function selectField(param) {
  const control = h(
    "select",
    { id: freshId("choice") },
    param.options.map((option, index) => h("option", { value: index, text: String(option) })),
  );
  return {
    param,
    element: frame(param, control),
    read: () => param.options[control.value],
    set: (value) => (control.value = String(param.options.indexOf(value))),
  };
}

function radioField(param) {
  const group = freshId("choice");
  const problem = h("p", { class: "error", id: freshId("problem"), role: "alert" });
  const radios = param.options.map((option, index) =>
    h("input", { type: "radio", name: group, value: index, id: `${group}-${index}` }),
  );
  const labels = radios.map((radio, index) =>
    h("label", { for: radio.id }, radio, name(String(param.options[index]))),
  );
  return {
    param,
    element: h(
      "fieldset",
      { class: "field", "aria-describedby": problem.id },
      h("legend", {}, name(param.name)),
      h("div", { class: "options" }, labels),
      problem,
    ),
    read: () => param.options[radios.findIndex((radio) => radio.checked)],
    set: (value) =>
      radios.forEach((radio, index) => (radio.checked = param.options[index] === value)),
  };
}

// ---------------------------------------------------------------- the form

export class RuneForm {
  /** @param {(values: Object) => void} onRun given the checked values by parameter; files as in FileField. */
  constructor(params, onRun) {
    this.fields = params.map(makeField);
    for (const field of this.fields) {
      field.set(initial(field.param));
      field.element.addEventListener("change", () => this.#complain(field, ""));
    }
    this.runButton = h("button", { class: "primary", text: "Run" });
    this.element = h(
      "form",
      {
        class: "rune-form",
        novalidate: true,
        on: {
          submit: (event) => {
            event.preventDefault();
            const values = this.values();
            if (values) onRun(values);
          },
          keydown: (event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey))
              this.element.requestSubmit();
          },
        },
      },
      this.fields.map((field) => field.element),
      h(
        "div",
        { class: "actions" },
        this.runButton,
        button("Defaults", () => this.set({})),
      ),
    );
  }

  /** The checked values; null if one does not fit: then its field says so and has the focus. */
  values() {
    const values = {};
    let first = null;
    for (const field of this.fields) {
      const { value, error } = check(field.param, field.read());
      this.#complain(field, error ?? "");
      if (error) first ??= field;
      else values[field.param.name] = value;
    }
    first?.element.querySelector("input, textarea, select, button").focus();
    return first ? null : values;
  }

  /** Enter these values; parameters without one get their defaults. */
  set(values) {
    for (const field of this.fields) {
      const { param } = field;
      field.set(param.name in values ? values[param.name] : initial(param));
      this.#complain(field, "");
    }
  }

  #complain(field, text) {
    const { element } = field;
    fill(element.querySelector(".error"), text);
    element.classList.toggle("wrong", Boolean(text));
    for (const control of element.querySelectorAll("input, textarea, select")) {
      if (text) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    }
  }
}
