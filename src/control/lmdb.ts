/** The former name of the embedded control store, for callers that still use it. See embedded.ts. */
export { EmbeddedControlStore as LmdbControlStore } from './embedded.ts';
