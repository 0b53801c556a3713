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
  const setRequestContentType = (original, { oas3Actions, oas3Selectors, Im }) => (change) => {
    const result = original(change);
    const isForm = change.value === "multipart/form-data";
    const fields = isForm ? Im.fromJS(JSON.parse(oas3Selectors.selectDefaultRequestBodyValue(...change.pathMethod))) : undefined;
    oas3Actions.setRequestBodyValue({ value: fields, pathMethod: change.pathMethod });
    return result;
  };
  return { statePlugins: { oas3: { wrapActions: { setRequestContentType } } } };
}

/**
 * A list of files: Swagger UI looks for a part of this name as well, and complains that it has none.
 * @type {(system: any) => object}
 */
function filesInLists({ React, getComponent }) {
  /** @type {(props: object) => object} */
  const JsonSchema_string_binary = (props) => React.createElement(getComponent("JsonSchema_string"), props);
  return { components: { JsonSchema_string_binary } };
}

/** @type {any} */ (globalThis).SwaggerUIBundle({
  domNode: place,
  url: place.dataset.spec,
  queryConfigEnabled: false, // a link must not be able to show another document under our name
  validatorUrl: null,
  plugins: [freshBody, filesInLists],
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
