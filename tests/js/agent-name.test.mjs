/** What agents are called where nobody has named them. */
import { equal } from 'node:assert/strict';
import { test } from 'node:test';
import { nameOf, withNames } from '../../realtime/web/static/elements/agent-name.js';

test('name made of a type is words, with abbreviations in capitals', () => {
  equal(nameOf('automation_consultant'), 'Automation consultant');
  equal(nameOf('qa_consultant'), 'QA consultant');
  equal(nameOf('public_api_writer'), 'Public API writer');
  equal(nameOf('badge_maker'), 'Badge maker');
  equal(nameOf(''), '');
});

test('message names agents as their cards do', () => {
  const names = [['qa_consultant', 'QA consultant']];
  equal(withNames('qa_consultant failed: no answer', names), 'QA consultant failed: no answer');
  equal(withNames('not started: qa_consultant failed', names), 'not started: QA consultant failed');
  equal(withNames('No answer.', names), 'No answer.');
});
