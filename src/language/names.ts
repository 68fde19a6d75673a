/**
 * The names of one program: lets, blocks and import aliases share one space, so that a name means one thing wherever it stands.
 * Records each use, for definition, references and rename.
 */
import type { NameUse } from './ir.ts';
import { nearestName } from './nearest-name.ts';
import type { SourceRange } from './source.ts';
import type { WrittenBlock, WrittenImport, WrittenLet, WrittenName } from './written.ts';

export type Declaration =
  | { readonly kind: 'let'; readonly name: WrittenName; readonly item: WrittenLet }
  | { readonly kind: 'block'; readonly name: WrittenName; readonly item: WrittenBlock }
  | { readonly kind: 'alias'; readonly name: WrittenName; readonly item: WrittenImport };

/** "a let", "a server", for messages. */
export function describeDeclaration(declaration: Declaration): string {
  if (declaration.kind === 'let') return 'a value of `let`';
  if (declaration.kind === 'alias') return 'the alias of a module';
  const kind = declaration.item.blockKind.text;
  return /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}

/** Looking for the nearest name costs a pass over all of them; after so many wrong names nobody reads the suggestions. */
const suggestionsMax = 100;

export class Names {
  readonly uses: NameUse[] = [];
  readonly #declarations = new Map<string, Declaration>();
  readonly #file: string;
  #suggestionsLeft = suggestionsMax;

  constructor(file: string) {
    this.#file = file;
  }

  /** The earlier declaration when the name is taken. */
  declare(declaration: Declaration): Declaration | undefined {
    const earlier = this.#declarations.get(declaration.name.text);
    if (earlier === undefined) this.#declarations.set(declaration.name.text, declaration);
    return earlier;
  }

  find(name: string): Declaration | undefined {
    return this.#declarations.get(name);
  }

  isFirst(declaration: Declaration): boolean {
    return this.#declarations.get(declaration.name.text)?.item === declaration.item;
  }

  nearest(name: string, wanted: (declaration: Declaration) => boolean = () => true): string | undefined {
    if (this.#suggestionsLeft-- <= 0) return undefined;
    const known = [...this.#declarations.values()].filter(wanted).map((each) => each.name.text);
    return nearestName(name, known);
  }

  use(range: SourceRange, { name }: Declaration): void {
    this.uses.push({ range, target: { file: this.#file, nameRange: name.range, name: name.text } });
  }
}
