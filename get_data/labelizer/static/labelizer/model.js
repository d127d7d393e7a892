// What the model of the server thinks of the labels: GET /api/model, model.py.

import { percent } from "./format.js";

/** @typedef {import("./types").ModelReply} ModelReply */
/** @typedef {import("./types").Run} Run */

/** The steering that a model expects, and which labels it finds suspicious. */
export class Model {
  /** @param {number} count  of all pictures */
  constructor(count) {
    /** @type {ModelReply["status"]} */
    this.status = "none";
    /** How many of the pictures were read. */
    this.done = 0;
    this.total = 0;
    /** Why there is no model. */
    this.message = "";
    /** Steering that the model expects, -1 .. 1; NaN where it does not know. */
    this.predicted = new Float32Array(count).fill(NaN);
    /** How wrong each label looks, from 0 on. */
    this.score = new Float32Array(count);
    /** 1 where it stands out. */
    this.wrong = new Uint8Array(count);
    /** 1 where it is worth a look. */
    this.suspicious = new Uint8Array(count);
    /** Position of the labels judged, the most suspicious first. */
    this.order = new Int32Array(0);
    /** @type {Run[]} runs of suspicious labels, the worst first */
    this.clips = [];
    /** @type {import("./types").JudgedLabels["late"]} drives whose labels are late */
    this.late = [];
    /** Index of the clip that each position is in, -1 for none. */
    this.clip = new Int32Array(count).fill(-1);
  }

  get isReady() {
    return this.status === "ready";
  }

  /**
   * Take over what the server says; return whether that is new.
   * @param {ModelReply} reply
   */
  update(reply) {
    const isNew = reply.status !== this.status || reply.done !== this.done;
    this.status = reply.status;
    if (reply.status !== "ready") {
      ({ done: this.done, total: this.total, message: this.message } = reply);
      return isNew;
    }
    reply.positions.forEach((position, index) => {
      this.score[position] = reply.score[index] ?? 0;
      this.predicted[position] = reply.predicted[index] ?? NaN;
      this.suspicious[position] = this.score[position] >= reply.doubtful ? 1 : 0;
    });
    for (const position of reply.wrong) {
      this.wrong[position] = 1;
      this.suspicious[position] = 1;
    }
    this.order = Int32Array.from(reply.order);
    this.late = reply.late;
    this.clips = reply.clips;
    // What is around a suspicious label is looked at with it.
    this.clips.forEach((clip, number) => {
      const [first, end] = [clip[0], clip[1] + 1];
      if (this.suspicious.subarray(first, end).includes(1)) this.suspicious.fill(1, first, end);
      for (let position = first; position < end; position += 1) {
        if (this.clip[position] < 0) this.clip[position] = number;
      }
    });
    return isNew;
  }

  /**
   * Return the clip that a picture is in, if any.
   * @param {number} position
   * @returns {Run | undefined}
   */
  clipAt(position) {
    return this.clips[this.clip[position]];
  }
}

/**
 * Return why there is no model, for people.
 * @param {Model} model
 */
export function modelText(model) {
  if (model.status === "computing") {
    const share = percent(model.done, model.total);
    return `Still looking for labels that look wrong: ${share} of the pictures read.`;
  }
  if (model.status === "failed") return `There is no model: ${model.message}.`;
  return "There are too few labels for a model.";
}
