/** What stands around the search: how many images there are, and the way in and out for those who need a key. */

import { signOut, stats } from "./api.js";
import { find } from "./element.js";
import { Failure } from "./failures.js";
import { ask, signInBy } from "./requests.js";
import { SignIn } from "./sign-in.js";
import { imagesInWords } from "./summary.js";

/**
 * What a visitor may do.
 * @typedef {{search: boolean, write: boolean, syncs: boolean, signed_in: boolean}} Rights
 */

/**
 * How many images can be found. Throws a Failure.
 * @returns {Promise<number>}
 */
export async function countImages() {
  const { images } = await stats();
  find(document, ".count", HTMLElement).textContent = imagesInWords(images);
  document.body.classList.toggle("empty", images === 0);
  return images;
}

/** @returns {Promise<Rights>} nothing, while the server does not answer */
export function rights() {
  return ask("session").catch(() => ({ search: false, write: false, syncs: false, signed_in: false }));
}

/** @param {{onIn: () => void, onFailed: (failure: Failure, retry: () => void) => void}} page onIn: the visitor has signed in */
export function letIn({ onIn, onFailed }) {
  const dialog = document.querySelector(".sign-in");
  if (!(dialog instanceof HTMLDialogElement)) {
    return; // no keys are asked for
  }
  const signIn = new SignIn(dialog);
  signInBy(async (why) => {
    const isIn = await signIn.ask(why);
    if (isIn) {
      onIn();
    }
    return isIn;
  });
  find(document, ".sign-in-now", HTMLButtonElement).addEventListener("click", async () => {
    if (await signIn.ask("")) {
      location.reload();
    }
  });
  const leave = async () => {
    try {
      await signOut();
      location.reload();
    } catch (failure) {
      if (!(failure instanceof Failure)) {
        throw failure;
      }
      failure.message = `You are still signed in. ${failure.message}`;
      onFailed(failure, leave);
    }
  };
  find(document, ".sign-out", HTMLButtonElement).addEventListener("click", leave);
}

/** The head stays in sight while one scrolls; what stays below it has to know how high it is, with all its chips. */
export function tellHeight() {
  const head = find(document, ".top", HTMLElement);
  new ResizeObserver(() => document.documentElement.style.setProperty("--head", `${head.offsetHeight}px`)).observe(head);
}
