/** A small picture of an image, as a link. */

import { element } from "./element.js";
import { captionOf } from "./summary.js";

/** @import { StoredImage } from "./api.js" */

/**
 * @param {StoredImage} image
 * @param {string} address
 */
export function thumbnailLink(image, address) {
  const picture = element("img");
  picture.alt = captionOf(image);
  picture.loading = "lazy"; // before the source, or it is read at once
  picture.src = image.links.thumbnail;
  const link = element("a", picture);
  link.href = address;
  return link;
}
