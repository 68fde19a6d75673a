/**
 * The three functions of the withdrawn "metadata reflection" proposal that @peculiar/x509 needs at load, because its
 * dependency tsyringe refuses to start without them. Import this before @peculiar/x509.
 * Keeps what a loaded polyfill has put there. Does not walk prototypes: tsyringe only reads what it stored on the class.
 */
interface MetadataReflection {
  getMetadata?: (key: unknown, target: object) => unknown;
  getOwnMetadata?: (key: unknown, target: object) => unknown;
  defineMetadata?: (key: unknown, value: unknown, target: object) => void;
}

const reflect = Reflect as MetadataReflection;

if (reflect.getMetadata === undefined) {
  const stored = new WeakMap<object, Map<unknown, unknown>>();
  reflect.getOwnMetadata = (key, target) => stored.get(target)?.get(key);
  reflect.getMetadata = reflect.getOwnMetadata;
  reflect.defineMetadata = (key, value, target) => {
    const values = stored.get(target) ?? new Map<unknown, unknown>();
    stored.set(target, values.set(key, value));
  };
}
