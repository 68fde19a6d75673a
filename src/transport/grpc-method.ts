/** The names that both halves of the gRPC transport share. */

/** The one method; what a stream is for stands in its open message. */
export const STREAM_PATH = '/kwam.transport.v1.Transport/Stream';
/** Trailer with the error as JSON; "-bin" makes gRPC carry bytes. */
export const ERROR_TRAILER = 'kwam-error-bin';
