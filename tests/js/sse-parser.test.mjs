import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { SseParser } from '../../realtime/web/static/client/sse-parser.js';

/** The messages in these pieces, as `[data, lastEventId]`, with the type where it is not the usual. */
function parsed(...pieces) {
  const messages = [];
  const parser = new SseParser(({ type, data, lastEventId }) => {
    messages.push(type === 'message' ? [data, lastEventId] : [data, lastEventId, type]);
  });
  pieces.forEach((piece) => parser.push(piece));
  return messages;
}

const STREAM = '\uFEFFretry: 2000\r\n\r\n: a comment\rid: 1\ndata: one\r\n\r\ndata: two\rdata:  lines\r\rid\ndata\n\n';
const MESSAGES = [['one', '1'], ['two\n lines', '1'], ['', '']];

test('a stream cut anywhere reads the same', () => {
  deepEqual(parsed(STREAM), MESSAGES);
  deepEqual(parsed(...STREAM), MESSAGES);
  for (let at = 0; at <= STREAM.length; at += 1) deepEqual(parsed(STREAM.slice(0, at), STREAM.slice(at)), MESSAGES);
});

test('each kind of line end is one line end', () => {
  for (const end of ['\n', '\r', '\r\n']) {
    deepEqual(parsed(['id: 7', 'data: x', '', ''].join(end)), [['x', '7']]);
  }
  deepEqual(parsed('data: a\n\r\n', 'data: b\r', '\n\r', '\n'), [['a', ''], ['b', '']]);
});

test('a message is delivered by the empty line after it and not before', () => {
  deepEqual(parsed('data: x\n'), []);
  deepEqual(parsed('data: x'), []);
});

test('a byte order mark counts only at the beginning', () => {
  deepEqual(parsed('\uFEFF', 'data: x\n\n'), [['x', '']]);
  deepEqual(parsed('data: x\n\n', '\uFEFFdata: y\n\n'), [['x', '']]);
});

test('one space after the colon belongs to neither', () => {
  deepEqual(parsed('data:x\n\ndata: x\n\ndata:  x\n\n'), [['x', ''], ['x', ''], [' x', '']]);
});

test('an id stays for what has none, is taken back by an empty one, and has no NUL', () => {
  const stream = 'id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\nid:\ndata: d\n\n';
  deepEqual(parsed(stream), [['a', '1'], ['b', '1'], ['c', '1'], ['d', '']]);
});

test('an id without data is kept for the message that follows', () => {
  deepEqual(parsed('id: 5\n\ndata: a\n\n'), [['a', '5']]);
});

test('a type is for one message', () => {
  const stream = 'event: other\ndata: a\n\ndata: b\n\nevent: lost\n\ndata: c\n\n';
  deepEqual(parsed(stream), [['a', '', 'other'], ['b', ''], ['c', '']]);
});

test('what has no data or is no field is nothing', () => {
  deepEqual(parsed('event: x\n\n\n\nretry: soon\nnonsense\n: data: x\nDATA: x\n\n'), []);
});
