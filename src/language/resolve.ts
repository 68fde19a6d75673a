/**
 * From the written program to the IR: names, imports, types and holes.
 * In: a parsed program and a ModuleResolver. Out: a ProgramIr and what is wrong with names, units and types; never an exception.
 * Does not judge what a correct value may be: floors, trust, durability and rollout are rules of check.ts.
 */

import { misplacedItems } from './declaration-order.ts';
import { type Diagnostic, type DiagnosticCode, type DiagnosticExtras, diagnostic } from './diagnostic.ts';
import { Fitter } from './fit.ts';
import type { BlockIr, ImportIr, LetIr, ProgramIr, UseIr } from './ir.ts';
import { plainText } from './literals.ts';
import type { ModuleResolver } from './module-resolver.ts';
import { type Declaration, Names } from './names.ts';
import { nearestName } from './nearest-name.ts';
import { Normalizer } from './normalize.ts';
import { omissionsOf } from './omissions.ts';
import type { Parsed } from './parse.ts';
import { BodyResolver } from './resolve-body.ts';
import { atomProblem, resolveImport } from './resolve-import.ts';
import { BLOCKS } from './schema.ts';
import type { BlockKind } from './schema-types.ts';
import type { SourceRange, SourceText } from './source.ts';
import type { WrittenBlock, WrittenImport, WrittenItem, WrittenLet, WrittenUse } from './written.ts';

export interface Resolved {
  readonly program: ProgramIr;
  readonly diagnostics: readonly Diagnostic[];
}

type ItemOf<K extends WrittenItem['kind']> = Extract<WrittenItem, { readonly kind: K }>;

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

class ProgramResolver {
  readonly diagnostics: Diagnostic[] = [];
  readonly #source: SourceText;
  readonly #items: readonly WrittenItem[];
  readonly #comments: Parsed['comments'];
  readonly #modules: ModuleResolver;
  readonly #names: Names;
  readonly #damage: readonly number[];
  readonly #isModule: boolean;

  constructor({ source, program, comments, diagnostics }: Parsed, modules: ModuleResolver) {
    this.#source = source;
    this.#items = program.items;
    this.#comments = comments;
    this.#modules = modules;
    this.#isModule = program.items.some(({ kind }) => kind === 'module');
    this.#damage = diagnostics.map((each) => each.range.start.offset);
    this.#names = new Names(source.file);
  }

  run(): ProgramIr {
    const lets = this.#of('let');
    const written = this.#of('block');
    this.#declareAll();
    const report = (made: Diagnostic) => this.diagnostics.push(made);
    for (const each of misplacedItems(this.#items, this.#source.file)) report(each);
    const normalizer = new Normalizer(this.#source, this.#names, lets, report);
    const fitter = new Fitter(this.#source, this.#names, normalizer, report);
    const imports = this.#of('import').map((each) => this.#import(each, fitter));
    // Backwards, so that of two with one alias the first stays.
    const byAlias = new Map(imports.toReversed().map((each) => [each.alias, each]));
    const uses = this.#of('use').map((each) => this.#use(each, byAlias));
    const bodies = new BodyResolver({
      source: this.#source,
      normalizer,
      fitter,
      report,
      omissions: omissionsOf(this.#comments),
      damage: this.#damage,
    });
    const blocks = written.map((each) => this.#block(each, bodies)).filter((each) => each !== undefined);
    this.#listLetHoles(lets, normalizer, fitter);
    const [version] = this.#of('apiVersion');
    const [module] = this.#of('module');
    return {
      file: this.#source.file,
      start: this.#source.range(0, 0),
      ...(version === undefined ? {} : { apiVersion: this.#text(version.version) }),
      ...(module === undefined
        ? {}
        : { module: { name: this.#text(module.name).version, range: module.name.range } }),
      imports,
      uses,
      lets: lets.map(letIr),
      blocks,
      holes: [...fitter.holes].sort((left, right) => left.range.start.offset - right.range.start.offset),
      nameUses: this.#names.uses,
    };
  }

  #of<K extends WrittenItem['kind']>(kind: K): readonly ItemOf<K>[] {
    return this.#items.filter((item): item is ItemOf<K> => item.kind === kind);
  }

  #error(code: DiagnosticCode, message: string, range: SourceRange, extras: DiagnosticExtras = {}): void {
    this.diagnostics.push(diagnostic(code, message, { file: this.#source.file, range }, extras));
  }

  #text(atom: ItemOf<'apiVersion'>['version']): { version: string; range: SourceRange } {
    const problem = atomProblem(atom, this.#source.file);
    if (problem !== undefined) this.diagnostics.push(problem);
    return { version: plainText(atom) ?? atom.text, range: atom.range };
  }

  #declareAll(): void {
    for (const item of this.#items) {
      if (item.kind === 'let') this.#declare({ kind: 'let', name: item.name, item });
      else if (item.kind === 'block') this.#declare({ kind: 'block', name: item.name, item });
      else if (item.kind === 'import') this.#declare({ kind: 'alias', name: item.alias, item });
    }
  }

  #declare(declaration: Declaration): void {
    const { text, range } = declaration.name;
    if (!NAME.test(text)) {
      const instead = text.replace(/[^A-Za-z0-9_]+/g, '_');
      this.#error('KW1014', `expected a name of letters, digits and _, got \`${text.slice(0, 60)}\``, range, {
        suggestion: NAME.test(instead)
          ? { title: `write \`${instead}\``, replacement: { range, text: instead } }
          : undefined,
      });
    }
    const earlier = this.#names.declare(declaration);
    if (earlier === undefined) return;
    this.#error('KW2001', `\`${text}\` is declared twice: expected each name once in a program`, range, {
      note: `The first declaration is in line ${earlier.name.range.start.line}.`,
    });
  }

  #import(written: WrittenImport, fitter: Fitter): ImportIr {
    const { imported, diagnostics } = resolveImport(written, this.#source.file, this.#modules);
    this.diagnostics.push(...diagnostics);
    if (imported.digestIsHole && written.digest !== undefined) {
      const expected = 'a digest: "sha256:" and 64 hexadecimal digits';
      fitter.hole(written.digest.range, `import.${imported.alias}.digest`, expected);
    }
    return imported;
  }

  #use(written: WrittenUse, imports: ReadonlyMap<string, ImportIr>): UseIr {
    const { text, range } = written.path;
    const [alias = '', name = '', ...rest] = text.split('.');
    const imported = imports.get(alias);
    const use = { alias, name, range };
    if (name === '' || rest.length > 0) {
      this.#error(
        'KW2016',
        `expected MODULE.EXPORT as in \`use fd.h100\`, got \`${text.slice(0, 60)}\``,
        range,
      );
      return use;
    }
    if (imported === undefined) return this.#unknownAlias(use);
    const declaration = this.#names.find(alias);
    if (declaration !== undefined) this.#names.use(this.#aliasRange(range, alias), declaration);
    if (imported.loaded === undefined) return use;
    const exported = imported.loaded.program.blocks.filter((each) => each.exported);
    const block = exported.find((each) => each.name === name);
    if (block === undefined) return this.#unknownExport(use, imported, exported);
    const end = range.end.offset;
    const target = { file: block.file, nameRange: block.nameRange, name };
    this.#names.uses.push({ range: this.#source.range(end - name.length, end), target });
    return { ...use, block };
  }

  #aliasRange(range: SourceRange, alias: string): SourceRange {
    return this.#source.range(range.start.offset, range.start.offset + alias.length);
  }

  #unknownAlias(use: UseIr): UseIr {
    const nearest = this.#names.nearest(use.alias, ({ kind }) => kind === 'alias');
    const range = this.#aliasRange(use.range, use.alias);
    this.#error('KW2002', `expected the alias of an import, got \`${use.alias.slice(0, 60)}\``, range, {
      suggestion:
        nearest === undefined
          ? undefined
          : { title: `did you mean \`${nearest}\`?`, replacement: { range, text: nearest } },
    });
    return use;
  }

  #unknownExport(use: UseIr, imported: ImportIr, exported: readonly BlockIr[]): UseIr {
    const names = exported.map((each) => each.name);
    const nearest = nearestName(use.name, names);
    const replacement =
      nearest === undefined ? undefined : { range: use.range, text: `${use.alias}.${nearest}` };
    this.#error('KW2016', `\`${imported.module}\` exports no \`${use.name.slice(0, 60)}\``, use.range, {
      note:
        names.length === 0
          ? 'It exports nothing.'
          : `It exports ${names.map((each) => `\`${each}\``).join(', ')}.`,
      suggestion: replacement && { title: `did you mean \`${nearest}\`?`, replacement },
    });
    return use;
  }

  #block(written: WrittenBlock, bodies: BodyResolver): BlockIr | undefined {
    const kind = written.blockKind;
    const row = BLOCKS.get(kind.text);
    if (row === undefined) return this.#unknownBlock(written);
    this.#checkPlace(written, row.moduleOnly);
    const name = written.name.text;
    const owner = {
      title: `${kind.text} \`${name}\``,
      nameRange: written.name.range,
      path: `${kind.text}.${name}`,
    };
    return {
      kind: kind.text as BlockKind,
      name,
      file: this.#source.file,
      nameRange: written.name.range,
      range: written.range,
      exported: written.exported,
      body: bodies.resolve(written.body, row.body, owner),
    };
  }

  /** `export` and the blocks of modules belong to modules. */
  #checkPlace(written: WrittenBlock, moduleOnly: boolean): void {
    if (this.#isModule || (!moduleOnly && !written.exported)) return;
    const what = moduleOnly ? `\`${written.blockKind.text}\`` : '`export`';
    this.#error(
      'KW2017',
      `${what} belongs to a module: expected a program's block, or \`module "NAME"\` at the top`,
      written.blockKind.range,
    );
  }

  #unknownBlock({ blockKind: { text, range } }: WrittenBlock): undefined {
    const known = [...BLOCKS.values()].filter(({ moduleOnly }) => this.#isModule || !moduleOnly);
    const names = known.map(({ kind }) => kind);
    const nearest = nearestName(text, names);
    this.#error('KW2007', `there is no block \`${text.slice(0, 60)}\``, range, {
      note: `There are ${names.map((each) => `\`${each}\``).join(', ')}.`,
      suggestion:
        nearest === undefined
          ? undefined
          : { title: `did you mean \`${nearest}\`?`, replacement: { range, text: nearest } },
    });
    return undefined;
  }

  /** The holes of lets that nothing with a type uses. */
  #listLetHoles(lets: readonly WrittenLet[], normalizer: Normalizer, fitter: Fitter): void {
    for (const { name } of lets) {
      const value = normalizer.settled(name.text);
      const parts = value?.kind === 'list' || value?.kind === 'call' ? value.items : [value];
      for (const part of parts) {
        if (part?.kind !== 'literal' || part.literal.kind !== 'hole' || part.used !== undefined) continue;
        fitter.hole(part.range, `let.${name.text}`, 'a value');
      }
    }
  }
}

function letIr({ name, range }: WrittenLet): LetIr {
  return { name: name.text, nameRange: name.range, range };
}

export function resolve(parsed: Parsed, modules: ModuleResolver): Resolved {
  const resolver = new ProgramResolver(parsed, modules);
  const program = resolver.run();
  return { program, diagnostics: resolver.diagnostics };
}
