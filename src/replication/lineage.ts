/**
 * Which catalog knows the packs of this node, so that another one's silence about a pack is never taken for "nobody needs it".
 * In: the control store and the notes of the node's own store. Out: nothing, or KwamError INTEGRITY and nothing may be removed.
 * A catalog has a random `identity`, made once by whoever comes first. Each node writes `witness/<node>` there, regularly, and then
 * notes in its store, durably, the identity and the revision of that write. Nobody else writes the key, so it can be older than the note
 * only in a catalog that went back (a snapshot restored), and absent only in one that was replaced or emptied; however many
 * revisions such a catalog makes afterwards, the witness stays behind. A node without packs has nothing to lose and takes any catalog; one
 * with packs and without a readable note takes none, until it is told to adopt it.
 * Holds across kill -9 and power failure: the note follows the witness, never the other way round.
 * Does not notice the loss of what was published after this node's last witness (limits.ts: catalogWitnessMs).
 */
import type { ControlEntry, ControlStore } from '../control/control-store.ts';
import { toHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';
import type { Random } from '../random.ts';
import type { Store } from '../store/store.ts';

export interface LineageOptions {
  readonly control: Pick<ControlStore, 'get' | 'transact' | 'requireWhole'>;
  readonly store: Pick<Store, 'getNote' | 'putDurableNote' | 'presence'>;
  readonly node: string;
  readonly random: Pick<Random, 'fill'>;
  /** Called when the answer changes: why nothing may be removed, or undefined. */
  readonly onJudged: (doubt: KwamError | undefined) => void;
}

interface Note {
  readonly identity: string;
  /** Of the store when the node last wrote its witness. */
  readonly revision: number;
}

/** What the catalog says now. */
interface Sight {
  readonly identity: ControlEntry | undefined;
  readonly witness: ControlEntry | undefined;
}

const IDENTITY = 'identity';
const NOTE = 'catalog';

export class Lineage {
  readonly #options: LineageOptions;
  readonly #witnessKey: string;
  #doubt: string | undefined;

  constructor(options: LineageOptions) {
    this.#options = options;
    this.#witnessKey = `witness/${options.node}`;
  }

  /** Why nothing may be removed, as of the last look. */
  get doubt(): string | undefined {
    return this.#doubt;
  }

  /**
   * Before anything is removed because the catalog does not list it, and after that was read: what a look before the reading says would not
   * hold for what is read.
   * @throws KwamError INTEGRITY  the catalog is damaged, is not the one that knows the packs here, or went back to an earlier state.
   */
  async require(): Promise<void> {
    const doubt = this.#judge(await this.#look());
    if (doubt !== undefined) throw doubt;
    await this.#options.control.requireWhole();
  }

  /** False instead of an error, for what is only tidied. */
  async isKnown(): Promise<boolean> {
    return this.#judge(await this.#look()) === undefined;
  }

  /** Renews the witness, unless the catalog is in doubt: then it stays behind. */
  async witness(): Promise<void> {
    if (await this.isKnown()) await this.adopt();
  }

  /** From now on what this catalog does not list is not needed. */
  async adopt(): Promise<void> {
    do {
      await nameCatalog(this.#options);
    } while (!(await this.#write(await this.#look())));
    this.#judge(await this.#look());
  }

  async #look(): Promise<Sight> {
    const { control } = this.#options;
    return { identity: await control.get(IDENTITY), witness: await control.get(this.#witnessKey) };
  }

  async #write({ identity, witness }: Sight): Promise<boolean> {
    const { control, store } = this.#options;
    const named = identityOf(identity);
    if (named === undefined) return false;
    const compares = [
      { key: IDENTITY, modRevision: identity!.modRevision },
      { key: this.#witnessKey, modRevision: witness?.modRevision ?? 0 },
    ];
    const value = canonicalBytes({ identity: named });
    const { committed, revision } = await control.transact(compares, [
      { kind: 'put', key: this.#witnessKey, value },
    ]);
    if (committed) store.putDurableNote(NOTE, JSON.stringify({ identity: named, revision }));
    return committed;
  }

  #judge(seen: Sight): KwamError | undefined {
    const doubt = this.#doubtOf(seen);
    if (doubt?.message !== this.#doubt) this.#options.onJudged(doubt);
    this.#doubt = doubt?.message;
    return doubt;
  }

  #doubtOf({ identity, witness }: Sight): KwamError | undefined {
    if (this.#options.store.presence().packs === 0) return undefined;
    const note = this.#note();
    if (note === undefined) return doubtOf('a note of the catalog that knows them', 'none that is readable');
    const named = identityOf(identity);
    if (named !== note.identity) {
      return doubtOf(`the catalog ${note.identity}`, named === undefined ? 'one without a name' : named);
    }
    const revision = witness?.modRevision ?? 0;
    if (revision >= note.revision) return undefined;
    return doubtOf(
      `the catalog's ${this.#witnessKey} of revision ${note.revision}`,
      `revision ${revision}: it went back`,
    );
  }

  /** A damaged one counts as none. */
  #note(): Note | undefined {
    const text = this.#options.store.getNote(NOTE);
    return text === undefined ? undefined : (JSON.parse(text) as Note);
  }
}

/** Whoever comes first to a new store names it. */
async function nameCatalog({ control, random }: LineageOptions): Promise<void> {
  if ((await control.get(IDENTITY)) !== undefined) return;
  const value = Buffer.from(toHex(random.fill(new Uint8Array(16))));
  await control.transact([{ key: IDENTITY, modRevision: 0 }], [{ kind: 'put', key: IDENTITY, value }]);
}

function identityOf(entry: ControlEntry | undefined): string | undefined {
  return entry && new TextDecoder().decode(entry.value);
}

function doubtOf(expected: string, actual: string): KwamError {
  return new KwamError(
    'INTEGRITY',
    `this node keeps every pack: expected ${expected}, got ${actual}. What the catalog does not list may be needed: point --control at the ` +
      'right store, restore its newest state, or kwam-dp repair --names (objects from the packs) or repair --adopt (this one counts)',
    { context: { expected, actual } },
  );
}
