/** Swagger UI, started here and not in the page, so that the page needs no inline script. */

import { find } from "./element.js";

const place = find(document, "#swagger-ui", HTMLElement);
const darkness = matchMedia("(prefers-color-scheme: dark)");

function followDarkness() {
  document.documentElement.classList.toggle("dark-mode", darkness.matches); // Swagger UI's own name for it
}

darkness.addEventListener("change", followDarkness);
followDarkness();

/** Another content type begins with its own example; Swagger UI would show the fields of the form before as JSON, and send nothing. */
function freshBody() {
  /** @type {(original: (change: any) => any, system: any) => (change: any) => any} Swagger UI ships no types */
  const setRequestContentType = (original, { oas3Actions }) => (change) => {
    const result = original(change);
    oas3Actions.setRequestBodyValue({ value: undefined, pathMethod: change.pathMethod });
    return result;
  };
  return { statePlugins: { oas3: { wrapActions: { setRequestContentType } } } };
}

/** @type {any} */ (globalThis).SwaggerUIBundle({
  domNode: place,
  url: place.dataset.spec,
  queryConfigEnabled: false, // a link must not be able to show another document under our name
  validatorUrl: null,
  plugins: [freshBody],
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
