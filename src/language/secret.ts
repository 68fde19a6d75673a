/**
 * A reference to a secret: where it is kept, never what it is.
 * Opaque: it prints and serialises as `[secret]`, so that no plan, log or message can carry even its place by accident; only
 * who resolves it at use asks `secretLocation`.
 */
const PRINTED = '[secret]';

export class SecretReference {
  readonly #uri: string;

  constructor(uri: string) {
    this.#uri = uri;
  }

  static uriOf(secret: SecretReference): string {
    return secret.#uri;
  }

  toString(): string {
    return PRINTED;
  }

  toJSON(): string {
    return PRINTED;
  }
}

/** The `secret://…` URI. For the one who resolves it at use, and for nobody else. */
export function secretLocation(secret: SecretReference): string {
  return SecretReference.uriOf(secret);
}
