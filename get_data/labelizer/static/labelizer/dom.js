// Small help with the page's elements. Text is always text, never markup.

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no ${id}`);
  return found;
}

/** @param {string} id @returns {HTMLInputElement} */
export function field(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}

/**
 * A new element with attributes and content.
 * @param {string} name @param {Record<string, string | boolean>} attributes
 * @param {...(Node | string)} content
 */
export function make(name, attributes, ...content) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "boolean") element.toggleAttribute(key, value);
    else element.setAttribute(key, value);
  }
  element.append(...content);
  return element;
}

/** @param {Element} element @param {string} text written only when it differs, which costs less */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
