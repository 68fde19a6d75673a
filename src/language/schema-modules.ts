/**
 * The blocks that only modules export: sets of fault domains, and the tables that std/ is made of.
 * Source: std/*.kwam; modules-tables.ts reads the same rows as values.
 */
import { choice, duration, integer, list, quantity, record, required, text, word } from './schema-rows.ts';
import type { AttributeRow, BodyRow } from './schema-types.ts';

function map(key: 'word' | 'either', keyNoun: string, entry: Omit<AttributeRow, 'required'>): BodyRow {
  return { kind: 'map', key, keyNoun, entry: { ...entry, required: false } };
}

const domains = map('word', 'the name of a fault domain', {
  name: 'domain',
  doc: 'A fault domain.',
  body: record({
    within: { type: word('domain', 'spine'), doc: 'The wider domain that this one always lies in.' },
  }),
});

const hook: Omit<AttributeRow, 'required'> = {
  name: 'hook',
  doc: 'A telemetry hook of this hardware.',
  body: record({
    by: { required, type: text('what answers', '"NVIDIA management library"'), doc: 'What answers it.' },
  }),
};

const signal: Omit<AttributeRow, 'required'> = {
  name: 'signal',
  doc: 'A portable health signal.',
  body: record({
    source: {
      required,
      type: text('a native source', '"DCGM_FI_DEV_XID_ERRORS"'),
      doc: 'Where this hardware reports it.',
    },
    fidelity: {
      required,
      type: choice('exact', 'partial'),
      doc: 'Whether the device reports this very thing or the nearest to it.',
    },
  }),
};

const hardware = map('word', 'the name of a hardware', {
  name: 'hardware',
  doc: 'An accelerator.',
  body: record({
    interconnect: {
      required,
      type: text('the name of an interconnect', '"nvlink+ib"'),
      doc: 'The interconnect that such machines are usually built with.',
    },
    hooks: {
      required,
      doc: 'What answers the hooks of `profile.health`.',
      body: map('word', 'the name of a hook', hook),
    },
    signals: {
      required,
      doc: 'Where each portable signal is read; one that is not listed has no source here.',
      body: map('word', 'the name of a signal', signal),
    },
  }),
});

const link = {
  required,
  doc: 'Between two nodes whose narrowest common place this is.',
  body: record({
    latency: { required, type: duration, doc: 'One way, for a small message.' },
    bandwidth: { required, type: quantity('bandwidth'), doc: 'In one direction.' },
  }),
};

const interconnects = map('either', 'the name of an interconnect', {
  name: 'interconnect',
  doc: 'A model of latency and bandwidth.',
  body: record({
    fits: { required, type: list(word('hardware', 'h100')), doc: 'The hardware that it is built into.' },
    same_node: link,
    same_rack: link,
    same_spine: link,
    same_az: link,
    beyond: link,
  }),
});

const sandboxes = map('word', 'the name of a sandbox', {
  name: 'sandbox',
  doc: 'A way to contain a client.',
  body: record({
    strength: {
      required,
      type: integer('a strength', 0, 100),
      doc: 'Higher is stronger, equal is equal; 0 is no sandbox at all.',
    },
  }),
});

export const MODULE_BODIES = { domains, hardware, interconnects, sandboxes } as const;
