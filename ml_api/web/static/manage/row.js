/** A file in the list of those that are added: how far it is, and what became of it. */

import { addressOf } from "../address.js";
import { element } from "../element.js";

/**
 * of: a picture that the text ends with; said: in the server's own words; again: sent once more, it may well be taken; was: it was there
 * before; taken: another picture has its name, and what may be done.
 * @typedef {{text: string, of?: {id: string, key: string}, said?: string, wrong?: boolean, again?: boolean, was?: boolean, taken?: Choices}} Outcome
 */
/** @typedef {{onBoth: () => void, onReplace: () => void}} Choices */

/** @param {string} name of the file */
export function rowOf(name) {
  const bar = element("progress");
  bar.max = 1;
  bar.value = 0;
  bar.ariaLabel = `Progress of ${name}`;
  const state = element("span", "Waiting");
  state.className = "state";
  const label = element("span", name);
  label.className = "file-name";
  const row = element("li", label, bar, state);
  return {
    element: row,
    /** Once more. */
    begin() {
      row.classList.remove("wrong", "taken");
      bar.value = 0;
      label.after(bar);
      state.textContent = "Waiting";
    },
    /** @param {number} share */
    sent(share) {
      bar.value = share;
      state.textContent = share < 1 ? `${Math.round(share * 100)} %` : "Indexing…";
    },
    /** The answer takes longer than it should; the request goes on. */
    waits() {
      state.textContent = "Still waiting for the server…";
    },
    /** @param {Outcome} outcome */
    end({ text, of, said, wrong, taken }) {
      bar.remove();
      const details = said ? [element("details", element("summary", "Details"), element("p", said))] : [];
      const choices = taken ? [choicesOf(name, taken)] : [];
      state.replaceChildren(text, ...(of ? [" ", linkTo(of)] : []), ...details, ...choices);
      row.classList.toggle("wrong", wrong === true);
      row.classList.toggle("taken", taken !== undefined);
    },
  };
}

/**
 * In a window of its own: what is being added goes on in this one.
 * @param {{id: string, key: string}} image
 */
function linkTo({ id, key }) {
  const link = element("a", key);
  link.href = addressOf({ query: null, image: id });
  link.target = "_blank";
  return link;
}

/**
 * @param {string} name
 * @param {Choices} choices
 */
function choicesOf(name, { onBoth, onReplace }) {
  const choices = element("span", buttonOf("Keep both", `of ${name}`, onBoth), buttonOf("Replace", name, onReplace));
  choices.className = "choices";
  return choices;
}

/**
 * @param {string} words
 * @param {string} what said to those who do not see the row
 * @param {() => void} onClick
 */
function buttonOf(words, what, onClick) {
  const button = element("button", words);
  button.type = "button";
  button.className = "button small";
  button.ariaLabel = `${words} ${what}`;
  button.addEventListener("click", onClick);
  return button;
}
