const BETWEEN_WORDS = /(?<=[/_.-])(?=[^/_.-])(?!(?<=(?:^|[/_-])[^/_.-]{0,8}\.)[^/_.-]{1,5}$)/;

/**
 * A new element around texts and elements. Texts go in as text: what users wrote is never read as HTML.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {...(string | Node)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

/**
 * A name that may be broken after the signs that part its words, as file names have them, rather than within a word. Its ending
 * stays with a short word.
 * @param {string} name
 * @returns {(string | Node)[]}
 */
export function breakable(name) {
  return name.split(BETWEEN_WORDS).flatMap((part, at) => (at > 0 ? [document.createElement("wbr"), part] : [part]));
}

/**
 * The first element that matches, of the type that it must have. A part that the page's HTML lacks is an error at the start.
 * @template {Element} Type
 * @param {ParentNode} root
 * @param {string} selector
 * @param {abstract new (...given: never[]) => Type} type
 * @returns {Type}
 */
export function find(root, selector, type) {
  const found = root.querySelector(selector);
  if (!(found instanceof type)) {
    throw new TypeError(`the page has no ${selector} that is a ${type.name}`);
  }
  return found;
}

/**
 * Whether it has a place on the page. `checkVisibility()` is known to Safari since 17.4 only.
 * @param {Element} element
 */
export function isShown(element) {
  return element.getClientRects().length > 0;
}

/**
 * A copy of the first element of a template.
 * @param {HTMLTemplateElement} template
 * @returns {HTMLElement}
 */
export function copyOf(template) {
  const copy = template.content.firstElementChild?.cloneNode(true);
  if (!(copy instanceof HTMLElement)) {
    throw new TypeError(`the template #${template.id} is empty`);
  }
  return copy;
}
