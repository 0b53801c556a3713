/** The controls of the filter panel, each for one field: they show a condition and tell of a new one, null for none. */

import { element } from "../element.js";
import { valueIn } from "../wording.js";

/** @import { Control, Value } from "./fields.js" */

/**
 * @typedef {object} Made
 * @property {HTMLElement} element
 * @property {(condition: unknown) => void} show a condition as the API takes it; what this control cannot say is shown as none
 * @property {boolean} isCounted whether it shows how many images have each value
 * @property {(countOf: (value: Value, images: number | null) => number | null) => void} count how many have each value, of which so many
 *   images of all have it
 */
/** @typedef {(condition: unknown) => void} Tell */

const AT_FIRST = 6; // values that are seen without asking for the others
const ALPHABET = new Intl.Collator("en", { numeric: true });
const DAY_MS = 86_400_000;

/**
 * @param {Control} control
 * @param {Tell} tell
 * @returns {Made}
 */
export function controlOf(control, tell) {
  switch (control.kind) {
    case "values":
      return valuesOf(control, tell);
    case "beginning":
      return beginningOf(control, tell);
    default:
      return rangeOf(control, tell);
  }
}

/**
 * Check boxes. What is asked for, but not among the frequent values, gets a box too.
 * @param {Control} control
 * @param {Tell} tell
 * @returns {Made}
 */
function valuesOf({ label, values = [], several = false, isCutOff = false }, tell) {
  const list = element("ul");
  const more = element("button", `Show all ${values.length}`);
  more.type = "button";
  more.className = "link";
  more.hidden = values.length <= AT_FIRST + 1;
  list.classList.toggle("short", !more.hidden);
  more.addEventListener("click", () => {
    list.classList.remove("short");
    more.hidden = true;
    list.querySelectorAll("input")[AT_FIRST].focus();
  });
  /** @type {{item: HTMLElement, box: HTMLInputElement, counter: HTMLElement, value: Value, images: number | null}[]} */
  const boxes = [];
  const change = () => tell(conditionOn(boxes.filter(({ box }) => box.checked).map(({ value }) => value), several));
  /**
   * @param {Value} value
   * @param {number | null} images
   */
  const add = (value, images) => {
    const box = element("input");
    box.type = "checkbox";
    box.addEventListener("change", change);
    const counter = element("span"); // until it is counted: among all images there are others
    counter.className = "counted";
    const text = element("span", valueIn(value));
    text.className = "value";
    const item = element("li", element("label", box, text, counter));
    list.append(item);
    boxes.push({ item, box, counter, value, images });
    return box;
  };
  values.forEach(({ value, images }) => add(value, images));
  const other = isCutOff ? otherOf(label, several, (value) => {
    add(value, null).checked = true;
    change();
  }) : "";
  return {
    element: element("div", list, more, other),
    show(condition) {
      const chosen = chosenIn(condition);
      const unknown = chosen.filter((one) => !boxes.some(({ value }) => value === one));
      unknown.forEach((value) => add(value, null));
      boxes.forEach(({ box, value }) => {
        box.checked = chosen.includes(value);
      });
    },
    isCounted: true,
    count(countOf) {
      const counted = boxes.map(({ item, counter, value, images }) => ({ item, counter, value, count: countOf(value, images) }));
      counted.forEach(({ counter, count }) => {
        counter.textContent = written(count);
      });
      counted.sort((one, other) => (other.count ?? -1) - (one.count ?? -1) || ALPHABET.compare(valueIn(one.value), valueIn(other.value)));
      arrange(list, counted.map(({ item }) => item));
    },
  };
}

/**
 * The items in this order; what has the focus keeps it.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} items
 */
function arrange(list, items) {
  if (items.every((item, at) => item === list.children[at])) {
    return;
  }
  const active = document.activeElement;
  const hadFocus = active instanceof HTMLElement && list.contains(active) ? active : null;
  list.replaceChildren(...items);
  hadFocus?.focus({ preventScroll: true });
}

/**
 * A box for a value that is not among the frequent ones.
 * @param {string} label
 * @param {boolean} several
 * @param {(value: string) => void} add
 */
function otherOf(label, several, add) {
  const box = inputOf("text", `${label}: another value`);
  box.placeholder = several ? "Another one" : "Another value";
  box.addEventListener("change", () => {
    const value = box.value.trim();
    box.value = "";
    if (value) {
      add(value);
    }
  });
  return box;
}

/**
 * @param {Control} control
 * @param {Tell} tell
 * @returns {Made}
 */
function beginningOf({ name, label }, tell) {
  const box = inputOf("text", `${label} begins with`);
  box.placeholder = name === "key" ? "Begins with: a folder, say" : "Begins with";
  box.addEventListener("change", () => tell(box.value ? { prefix: box.value } : null));
  return {
    element: element("div", box),
    show(condition) {
      box.value = String(partOf(condition, "prefix") ?? "");
    },
    isCounted: false,
    count: () => undefined,
  };
}

/**
 * From and to, both included. The end of a day is the beginning of the next: times of that day pass too.
 * @param {Control} control
 * @param {Tell} tell
 * @returns {Made}
 */
function rangeOf({ label, kind, placeholders = ["", ""] }, tell) {
  const isOfDates = kind === "dates";
  const [least, most] = [inputOf(isOfDates ? "date" : "number", `${label}, from`), inputOf(isOfDates ? "date" : "number", `${label}, to`)];
  const change = () => {
    const from = isOfDates ? least.value && { gte: least.value } : least.value !== "" && { gte: Number(least.value) };
    const to = isOfDates ? most.value && { lt: dayAfter(most.value, 1) } : most.value !== "" && { lte: Number(most.value) };
    tell(from || to ? { ...(from || {}), ...(to || {}) } : null);
  };
  [least, most].forEach((box, at) => {
    box.step = isOfDates ? "" : "any";
    box.placeholder = placeholders[at];
    box.addEventListener("change", change);
  });
  const made = element("div", ...(isOfDates ? [element("span", "from")] : []), least, element("span", "to"), most);
  made.className = isOfDates ? "range dates" : "range";
  return {
    element: made,
    show(condition) {
      const end = partOf(condition, "lt");
      least.value = String(partOf(condition, "gte") ?? "");
      most.value = String((isOfDates && typeof end === "string" ? dayAfter(end, -1) : partOf(condition, "lte")) ?? "");
    },
    isCounted: false,
    count: () => undefined,
  };
}

/**
 * @param {string} type
 * @param {string} label
 */
function inputOf(type, label) {
  const box = element("input");
  box.type = type;
  box.ariaLabel = label;
  box.autocomplete = "off";
  return box;
}

/**
 * @param {Value[]} chosen
 * @param {boolean} several
 */
function conditionOn(chosen, several) {
  if (chosen.length === 0) {
    return null;
  }
  if (several) {
    return { any: chosen };
  }
  return chosen.length === 1 ? { eq: chosen[0] } : { in: chosen };
}

/**
 * The values that a condition asks for.
 * @param {unknown} condition
 * @returns {Value[]}
 */
function chosenIn(condition) {
  const chosen = ["eq", "in", "any", "all"].flatMap((operator) => partOf(condition, operator) ?? []);
  return chosen.filter((one) => typeof one === "string" || typeof one === "number" || typeof one === "boolean");
}

/**
 * @param {unknown} condition
 * @param {string} operator
 * @returns {unknown}
 */
function partOf(condition, operator) {
  return condition !== null && typeof condition === "object" ? Object.entries(condition).find(([name]) => name === operator)?.[1] : undefined;
}

/**
 * @param {string} date
 * @param {number} days
 */
function dayAfter(date, days) {
  const time = Date.parse(date.slice(0, 10));
  return Number.isNaN(time) ? undefined : new Date(time + days * DAY_MS).toISOString().slice(0, 10);
}

/** @param {number | null} images */
function written(images) {
  return images === null ? "" : new Intl.NumberFormat("en").format(images);
}
