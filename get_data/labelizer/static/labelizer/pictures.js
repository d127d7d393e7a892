// Pictures and contact sheets, fetched and decoded before they are needed.

const CACHED_PICTURES = 64;
const CACHED_SHEETS = 16;
const MIN_FROM_SHEET = 8; // pictures that are worth fetching a whole sheet for
const MAX_PIXELS = 20_000_000;

/** @typedef {import("./types").SheetLayout} SheetLayout */

/**
 * The values that were used last.
 * @template Value
 */
class LruCache {
  /** @param {number} capacity */
  constructor(capacity) {
    this.capacity = capacity;
    /** @type {Map<number, Value>} least recently used first */
    this.values = new Map();
  }

  /** @param {number} key */
  get(key) {
    const value = this.values.get(key);
    if (value !== undefined) {
      this.values.delete(key);
      this.values.set(key, value);
    }
    return value;
  }

  /**
   * @param {number} key
   * @param {Value} value
   */
  set(key, value) {
    this.values.set(key, value);
    const [oldest] = this.values.keys();
    if (this.values.size > this.capacity) this.values.delete(oldest);
  }
}

export class Pictures {
  /**
   * @param {string} version  changes when any picture does
   * @param {SheetLayout} layout
   * @param {(position: number) => boolean} exists
   */
  constructor(version, layout, exists) {
    this.version = version;
    this.layout = layout;
    this.exists = exists;
    /** @type {LruCache<Promise<HTMLImageElement>>} */
    this.loading = new LruCache(CACHED_PICTURES);
    /** @type {LruCache<HTMLImageElement>} */
    this.decoded = new LruCache(CACHED_PICTURES);
    /** @type {LruCache<Promise<HTMLImageElement>>} */
    this.sheets = new LruCache(CACHED_SHEETS);
    /** @type {LruCache<HTMLImageElement>} */
    this.decodedSheets = new LruCache(CACHED_SHEETS);
  }

  /**
   * Return a picture if it can be shown at once.
   * @param {number} position
   */
  decodedPicture(position) {
    return this.decoded.get(position);
  }

  /**
   * Fetch and decode a picture; the promise is rejected when there is none to show.
   * @param {number} position
   */
  picture(position) {
    let loading = this.loading.get(position);
    if (!loading) {
      loading = this.exists(position)
        ? load(`/pic/${position}?v=${this.version}`)
        : Promise.reject(new Error("no picture"));
      this.loading.set(position, loading);
      loading.then(
        (image) => this.decoded.set(position, image),
        () => {},
      );
    }
    return loading;
  }

  /**
   * Fetch pictures that will be needed soon.
   * @param {Iterable<number>} positions
   */
  prefetch(positions) {
    for (const position of positions) this.picture(position).catch(() => {});
  }

  /** @param {number} number */
  #sheet(number) {
    let loading = this.sheets.get(number);
    if (!loading) {
      loading = load(`/sheet/${number}?v=${this.version}`);
      this.sheets.set(number, loading);
      loading.then(
        (image) => this.decodedSheets.set(number, image),
        () => {},
      );
    }
    return loading;
  }

  /**
   * Draw a small picture if it is decoded already, else clear the canvas.
   * @param {HTMLCanvasElement} canvas  its `data-drawn` tells which picture is on it
   * @param {number} position
   * @returns whether it was drawn
   */
  drawIfReady(canvas, position) {
    canvas.dataset.position = String(position);
    const sheet = this.decodedSheets.get(Math.trunc(position / this.layout.pictures));
    const image = this.decoded.get(position);
    if (sheet) this.#drawPart(canvas, sheet, position);
    else if (image) drawWhole(canvas, image, position);
    else blank(canvas);
    return Boolean(sheet ?? image);
  }

  /**
   * Draw a small picture as soon as it is fetched, unless the canvas is for another one by then.
   * @param {HTMLCanvasElement} canvas
   * @param {number} position
   * @param {boolean} fromSheet  fetch it with its neighbours, as a contact sheet
   */
  async draw(canvas, position, fromSheet) {
    if (this.drawIfReady(canvas, position)) return;
    try {
      const image = await (fromSheet
        ? this.#sheet(Math.trunc(position / this.layout.pictures))
        : this.picture(position));
      if (canvas.dataset.position !== String(position)) return;
      if (fromSheet) this.#drawPart(canvas, image, position);
      else drawWhole(canvas, image, position);
    } catch {
      // The canvas stays blank; a badge says that the picture is broken or missing.
    }
  }

  /**
   * Return those of the positions that are better fetched as contact sheets: many are on the same.
   * @param {Iterable<number>} positions
   */
  bestFromSheets(positions) {
    /** @type {Map<number, number[]>} */
    const bySheet = new Map();
    for (const position of positions) {
      const sheet = Math.trunc(position / this.layout.pictures);
      bySheet.set(sheet, [...(bySheet.get(sheet) ?? []), position]);
    }
    return new Set([...bySheet.values()].filter((group) => group.length >= MIN_FROM_SHEET).flat());
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLImageElement} sheet
   * @param {number} position
   */
  #drawPart(canvas, sheet, position) {
    const { pictures, row, width, height } = this.layout;
    const place = position % pictures;
    const x = (place % row) * width;
    const y = Math.trunc(place / row) * height;
    canvas
      .getContext("2d")
      ?.drawImage(sheet, x, y, width, height, 0, 0, canvas.width, canvas.height);
    canvas.dataset.drawn = String(position);
  }
}

/** @param {string} address */
async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  if (image.naturalWidth * image.naturalHeight > MAX_PIXELS) throw new Error("too large");
  return image;
}

/**
 * Draw a picture into the middle of a canvas, as large as it fits.
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLImageElement} image
 * @param {number} position
 */
function drawWhole(canvas, image, position) {
  const { width, height } = canvas;
  const scale = Math.min(width / image.naturalWidth, height / image.naturalHeight);
  const wide = image.naturalWidth * scale;
  const high = image.naturalHeight * scale;
  blank(canvas);
  canvas.getContext("2d")?.drawImage(image, (width - wide) / 2, (height - high) / 2, wide, high);
  canvas.dataset.drawn = String(position);
}

/** @param {HTMLCanvasElement} canvas */
function blank(canvas) {
  delete canvas.dataset.drawn;
  canvas.getContext("2d")?.clearRect(0, 0, canvas.width, canvas.height);
}
