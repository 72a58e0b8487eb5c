/**
 * The projects whose runs are listed over one socket.
 *
 * @typedef {import('./project-watch.js').ProjectViewer} ProjectViewer
 */
import { MalformedFrameError } from './frames.js';

export class ProjectSubscriptions {
  #send;
  /** @type {Map<string, {viewers: Set<ProjectViewer>, ref: ?string}>} by project id */
  #projects = new Map();
  #open = false;
  #refs = 0;

  /** @param {(frame: object) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @returns {ProjectViewer[]} */
  get viewers() {
    return [...this.#projects.values()].flatMap(({ viewers }) => [...viewers]);
  }

  add(viewer) {
    const project = this.#projects.get(viewer.projectId) ?? { viewers: new Set(), ref: null };
    this.#projects.set(viewer.projectId, project);
    project.viewers.add(viewer);
    if (this.#open) this.#watch(viewer.projectId, project);
  }

  remove(viewer) {
    const project = this.#projects.get(viewer.projectId);
    if (!project?.viewers.delete(viewer) || project.viewers.size > 0) return;
    this.#projects.delete(viewer.projectId);
    if (project.ref !== null) this.#send({ op: 'unwatch_project', project_id: viewer.projectId });
  }

  /** The connection can be used. */
  open() {
    this.#open = true;
    for (const [projectId, project] of this.#projects) this.#watch(projectId, project);
  }

  /** The connection is gone. */
  lost() {
    this.#open = false;
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
    if (op === 'project') tell(project, (viewer) => viewer.told(checked(runs, Array.isArray(runs), frame)));
    if (op === 'run') tell(project, (viewer) => viewer.changed(checked(run, typeof run?.id === 'string', frame)));
    if (op === 'error') this.#refuse(project);
  }

  #watch(projectId, project) {
    this.#refs += 1;
    project.ref = `project-${this.#refs}`;
    this.#send({ op: 'watch_project', ref: project.ref, project_id: projectId });
  }

  #asked(ref) {
    return [...this.#projects.values()].find((project) => project.ref !== null && project.ref === ref);
  }

  /** Why does not matter: REST answers the same question, and says it better. */
  #refuse(project) {
    project.ref = null;
    tell(project, (viewer) => viewer.unavailable());
  }
}

function checked(value, fits, frame) {
  if (!fits) throw new MalformedFrameError(`expected ${frame.op} with the runs of a project`, JSON.stringify(frame));
  return value;
}

/** A viewer may leave when it is told. */
function tell({ viewers }, what) {
  for (const viewer of [...viewers]) what(viewer);
}
