/**
 * What the formatter lays out: each declaration, block and attribute as a head, perhaps a value, perhaps a body.
 */
import type { SourceRange } from './source.ts';
import type { WrittenBody, WrittenItem, WrittenProgram, WrittenValue } from './written.ts';

export interface FormatUnit {
  readonly range: SourceRange;
  readonly head: string;
  readonly value?: WrittenValue;
  readonly body?: WrittenBody;
}

export function valueText(value: WrittenValue): string {
  if (value.kind === 'list') return `[${value.items.map(valueText).join(', ')}]`;
  if (value.kind === 'call') return `${value.name.text}(${value.items.map(valueText).join(', ')})`;
  return value.form === 'interpolation' ? `\${${value.text.slice(2, -1).trim()}}` : value.text;
}

function unitOfItem(item: WrittenItem): FormatUnit {
  const { range } = item;
  switch (item.kind) {
    case 'apiVersion':
      return { range, head: item.kind, value: item.version };
    case 'module':
      return { range, head: item.kind, value: item.name };
    case 'import': {
      const head = `import ${item.module.text} as ${item.alias.text}`;
      return item.digest === undefined
        ? { range, head }
        : { range, head: `${head} digest`, value: item.digest };
    }
    case 'use':
      return { range, head: `use ${item.path.text}` };
    case 'let':
      return { range, head: `let ${item.name.text} =`, value: item.value };
    case 'block': {
      const exported = item.exported ? 'export ' : '';
      return { range, head: `${exported}${item.blockKind.text} ${item.name.text}`, body: item.body };
    }
  }
}

export function unitsOfProgram(program: WrittenProgram): readonly FormatUnit[] {
  return program.items.map(unitOfItem);
}

export function unitsOfBody(body: WrittenBody): readonly FormatUnit[] {
  return body.entries.map((entry) => {
    if (entry.kind === 'omission') return { range: entry.range, head: entry.text };
    const { name, value, body: inner, range } = entry;
    return {
      range,
      head: name.text,
      ...(value === undefined ? {} : { value }),
      ...(inner === undefined ? {} : { body: inner }),
    };
  });
}
