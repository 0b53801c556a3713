/** Swagger UI, started here and not in the page, so that the page needs no inline script. */

const place = document.querySelector("#swagger-ui");
const darkness = matchMedia("(prefers-color-scheme: dark)");

function followDarkness() {
  document.documentElement.classList.toggle("dark-mode", darkness.matches); // Swagger UI's own name for it
}

darkness.addEventListener("change", followDarkness);
followDarkness();
globalThis.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.spec,
  queryConfigEnabled: false, // a link must not be able to show another document under our name
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
