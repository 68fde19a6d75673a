/** Every row of the refusal table, with the error that it must give; `npm run refusals` prints the same rows. */
import { afterAll, describe, expect, it } from 'vitest';
import { AREAS } from './areas.ts';
import { outcomeOf } from './refusal.ts';

describe.each(AREAS)('$name', ({ accepted, rows, close }) => {
  afterAll(() => close?.());

  it('accepts what all is well with', async () => {
    await accepted();
  });

  it.each(rows)('refuses $input', async (row) => {
    const { code, message } = await outcomeOf(row);
    expect(code).toBe(row.code);
    // What was expected, what was found, what to do; never a stack trace.
    expect(message).toMatch(/expected .+, (got|found) .+/s);
    expect(message).not.toMatch(/\n\s+at /);
  });
});
