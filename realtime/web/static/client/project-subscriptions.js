/**
 * The projects whose runs are listed over one socket, as many as the server allows.
 *
 * @typedef {import('./project-watch.js').ProjectViewer} ProjectViewer
 */
import { MalformedFrameError } from './frames.js';

export class ProjectSubscriptions {
  #send;
  #fit;
  /** @type {Map<string, {viewers: Set<ProjectViewer>, ref: ?string}>} by project id */
  #projects = new Map();
  #limit = 0;
  #refs = 0;

  /**
   * @param {(frame: object) => void} send
   * @param {() => void} fit `count` is another
   */
  constructor(send, fit) {
    this.#send = send;
    this.#fit = fit;
  }

  /** How many places of the connection they take. */
  get count() {
    return [...this.#projects.values()].filter(({ ref }) => ref !== null).length;
  }

  /** @returns {ProjectViewer[]} */
  get viewers() {
    return [...this.#projects.values()].flatMap(({ viewers }) => [...viewers]);
  }

  add(viewer) {
    const project = this.#projects.get(viewer.projectId) ?? { viewers: new Set(), ref: null };
    this.#projects.set(viewer.projectId, project);
    project.viewers.add(viewer);
    if (this.#limit > 0) this.#watch(viewer.projectId, project);
  }

  remove(viewer) {
    const project = this.#projects.get(viewer.projectId);
    if (!project?.viewers.delete(viewer) || project.viewers.size > 0) return;
    this.#projects.delete(viewer.projectId);
    if (project.ref === null) return;
    this.#send({ op: 'unwatch_project', project_id: viewer.projectId });
    this.#fit();
  }

  /** The connection can be used. @param {number} limit how many places the server allows on it */
  open(limit) {
    this.#limit = limit;
    for (const [projectId, project] of this.#projects) this.#watch(projectId, project);
  }

  /** The connection is gone. */
  lost() {
    this.#limit = 0;
    for (const project of this.#projects.values()) project.ref = null;
  }

  /**
   * A control frame, which may be about something else.
   * @throws {MalformedFrameError}
   */
  control(frame) {
    const project = this.#projects.get(frame.project_id) ?? this.#asked(frame.ref);
    if (project === undefined) return;
    const { op, runs, run } = frame;
    if (op === 'project') {
      const fits = Array.isArray(runs) && runs.every(isRun);
      tell(project, (viewer) => viewer.told(checked(runs, fits, frame)));
    }
    if (op === 'run') tell(project, (viewer) => viewer.changed(checked(run, isRun(run), frame)));
    if (op === 'error') this.#refuse(project);
  }

  #watch(projectId, project) {
    if (project.ref === null && this.count >= this.#limit) {
      this.#refuse(project);
      return;
    }
    this.#refs += 1;
    project.ref = `project-${this.#refs}`;
    this.#fit();
    this.#send({ op: 'watch_project', ref: project.ref, project_id: projectId });
  }

  #asked(ref) {
    return [...this.#projects.values()].find((project) => project.ref !== null && project.ref === ref);
  }

  /** Why does not matter: REST answers the same question, and says it better. */
  #refuse(project) {
    project.ref = null;
    this.#fit();
    tell(project, (viewer) => viewer.unavailable());
  }
}

const isRun = (run) => typeof run?.id === 'string';

function checked(value, fits, frame) {
  if (!fits) throw new MalformedFrameError(`expected ${frame.op} with the runs of a project`, JSON.stringify(frame));
  return value;
}

/** A viewer may leave when it is told. */
function tell({ viewers }, what) {
  for (const viewer of [...viewers]) what(viewer);
}
