// Pictures and contact sheets, fetched and decoded ahead of need.

const KEPT = 64; // decoded pictures
const KEPT_SHEETS = 16;
const WORTH_A_SHEET = 8; // pictures wanted of one
const MOST_PIXELS = 20_000_000;

/**
 * How contact sheets are cut; see pictures.py.
 * @typedef {{pictures: number, row: number, width: number, height: number}} Cut
 */

/** Keeps what was used last. @template Value */
class Recent {
  /** @param {number} most */
  constructor(most) {
    this.most = most;
    /** @type {Map<number, Value>} */
    this.kept = new Map();
  }

  /** @param {number} key */
  get(key) {
    const value = this.kept.get(key);
    if (value !== undefined) {
      this.kept.delete(key);
      this.kept.set(key, value);
    }
    return value;
  }

  /** @param {number} key @param {Value} value */
  set(key, value) {
    this.kept.set(key, value);
    if (this.kept.size > this.most) this.kept.delete(this.kept.keys().next().value ?? key);
  }
}

export class Pictures {
  /**
   * @param {string} version changes when any picture does @param {Cut} cut
   * @param {(position: number) => boolean} isThere
   */
  constructor(version, cut, isThere) {
    this.version = version;
    this.cut = cut;
    this.isThere = isThere;
    /** @type {Recent<Promise<HTMLImageElement>>} */
    this.loading = new Recent(KEPT);
    /** @type {Recent<HTMLImageElement>} */
    this.decoded = new Recent(KEPT);
    /** @type {Recent<Promise<HTMLImageElement>>} */
    this.sheets = new Recent(KEPT_SHEETS);
    /** @type {Recent<HTMLImageElement>} */
    this.decodedSheets = new Recent(KEPT_SHEETS);
  }

  /** @param {number} position @returns {HTMLImageElement | undefined} the picture, if it can be shown at once */
  ready(position) {
    return this.decoded.get(position);
  }

  /** @param {number} position @returns {Promise<HTMLImageElement>} rejected when there is none to show */
  picture(position) {
    let loading = this.loading.get(position);
    if (!loading) {
      loading = this.isThere(position)
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

  /** @param {Iterable<number>} positions are fetched while there is time */
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
   * Draws a small picture if it is here already, else nothing.
   * @param {HTMLCanvasElement} canvas whose `data-drawn` tells what is on it
   * @param {number} position
   */
  drawIfReady(canvas, position) {
    canvas.dataset.position = String(position);
    const sheet = this.decodedSheets.get(Math.trunc(position / this.cut.pictures));
    const image = this.decoded.get(position);
    if (sheet) this.#drawPart(canvas, sheet, position);
    else if (image) drawWhole(canvas, image, position);
    else blank(canvas);
    return Boolean(sheet ?? image);
  }

  /**
   * Draws a small picture as soon as it is here, unless the canvas has come to stand for another.
   * @param {HTMLCanvasElement} canvas @param {number} position
   * @param {boolean} fromSheet whether many of its neighbours are wanted too
   */
  async draw(canvas, position, fromSheet) {
    if (this.drawIfReady(canvas, position)) return;
    try {
      const image = await (fromSheet
        ? this.#sheet(Math.trunc(position / this.cut.pictures))
        : this.picture(position));
      if (canvas.dataset.position !== String(position)) return;
      if (fromSheet) this.#drawPart(canvas, image, position);
      else drawWhole(canvas, image, position);
    } catch {
      // It stays blank; the tile says that the picture is broken or missing.
    }
  }

  /** @param {Iterable<number>} positions @returns {Set<number>} those that a contact sheet serves best */
  dense(positions) {
    /** @type {Map<number, number[]>} */
    const bySheet = new Map();
    for (const position of positions) {
      const sheet = Math.trunc(position / this.cut.pictures);
      bySheet.set(sheet, [...(bySheet.get(sheet) ?? []), position]);
    }
    return new Set([...bySheet.values()].filter((group) => group.length >= WORTH_A_SHEET).flat());
  }

  /** @param {HTMLCanvasElement} canvas @param {HTMLImageElement} sheet @param {number} position */
  #drawPart(canvas, sheet, position) {
    const { pictures, row, width, height } = this.cut;
    const place = position % pictures;
    const x = (place % row) * width;
    const y = Math.trunc(place / row) * height;
    canvas
      .getContext("2d")
      ?.drawImage(sheet, x, y, width, height, 0, 0, canvas.width, canvas.height);
    canvas.dataset.drawn = String(position);
  }
}

/** @param {string} address @returns {Promise<HTMLImageElement>} */
async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  if (image.naturalWidth * image.naturalHeight > MOST_PIXELS) throw new Error("too large");
  return image;
}

/** @param {HTMLCanvasElement} canvas @param {HTMLImageElement} image @param {number} position */
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
