// Helpers for the page's elements. Text is always text, never markup.

/**
 * Return the page's element of this id.
 * @param {string} id
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/**
 * Return the page's form field of this id.
 * @param {string} id
 */
export function field(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}

/**
 * Create an element.
 * @param {string} name
 * @param {Record<string, string | boolean>} attributes
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

/**
 * Run a function as soon as the next frame is painted.
 * @param {() => void} run
 */
export function afterPaint(run) {
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = run;
    channel.port2.postMessage(null);
  });
}

/**
 * Set the text of an element, unless it is that already: writing costs a layout.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
