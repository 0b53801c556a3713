/**
 * A new element around texts and elements. Texts go in as text: what users wrote is never read as HTML.
 * @param {string} name
 * @param {...(string | Node)} children
 */
export function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}
