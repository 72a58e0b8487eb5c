/**
 * The projects whose runs are listed over one socket, as many as the server allows.
 *
 * @typedef {import('./frames.js').Frame} Frame
 * @typedef {import('./project-watch.js').ProjectViewer} ProjectViewer
 * @typedef {import('./followed.js').Followed<ProjectViewer>} Project
 */
import { askedWith, tell, viewersOf } from './followed.js';
import { MalformedFrameError } from './frames.js';

export class ProjectSubscriptions {
  #send;
  #fit;
  /** @type {Map<string, Project>} by project id */
  #projects = new Map();
  #limit = 0;
  #refs = 0;

  /**
   * @param {(frame: Frame) => void} send
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

  get viewers() {
    return viewersOf(this.#projects);
  }

  /** @param {ProjectViewer} viewer */
  add(viewer) {
    const project = this.#projects.get(viewer.projectId) ?? { viewers: new Set(), ref: null };
    this.#projects.set(viewer.projectId, project);
    project.viewers.add(viewer);
    if (this.#limit > 0) this.#watch(viewer.projectId, project);
  }

  /** @param {ProjectViewer} viewer */
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
   * @param {Frame} frame
   * @throws {MalformedFrameError}
   */
  control(frame) {
    const project = this.#projects.get(frame.project_id) ?? askedWith(this.#projects, frame.ref);
    if (project === undefined) return;
    const { op, runs, run } = frame;
    if (op === 'project') {
      const fits = Array.isArray(runs) && runs.every(isRun);
      tell(project, (viewer) => viewer.told(checked(runs, fits, frame)));
    }
    if (op === 'run') tell(project, (viewer) => viewer.changed(checked(run, isRun(run), frame)));
    if (op === 'error') this.#refuse(project);
  }

  /** @param {string} projectId @param {Project} project */
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

  /** Why does not matter: REST answers the same question, and says it better. @param {Project} project */
  #refuse(project) {
    project.ref = null;
    this.#fit();
    tell(project, (viewer) => viewer.unavailable());
  }
}

/** @param {any} run */
const isRun = (run) => typeof run?.id === 'string';

/** @param {any} value @param {boolean} fits @param {Frame} frame */
function checked(value, fits, frame) {
  if (!fits) throw new MalformedFrameError(`expected ${frame.op} with the runs of a project`, JSON.stringify(frame));
  return value;
}
