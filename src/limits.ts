/**
 * Every bound of the program, with its reason; relations between them are asserted at load.
 */
import { assert } from './errors.ts';

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** Defaults of the chunker. Smaller: better deduplication, larger index (14 bytes a chunk) and manifests. */
export const chunkBytesMinDefault = 16 * KIB;
export const chunkBytesTargetDefault = 64 * KIB;
export const chunkBytesMaxDefault = 256 * KIB;
/** Bounds that a plan may choose within; CUTS holds 32768 cuts for 16 MiB of input, so min ≥ 512 bytes suffices. */
export const chunkBytesMinLowest = 1 * KIB;
export const chunkBytesMaxHighest = 4 * MIB;

/** Unit of placement. Larger: fewer fsyncs and control entries; smaller: finer balance, quicker repair of one pack. */
export const packBytesTarget = 32 * MIB;
/** How fast a node reads its own packs back, and how often all of them: a tenth of an NVMe disk, and any rot within a week. */
export const scrubBytesPerSecondDefault = 200 * MIB;
export const scrubIntervalMsDefault = 7 * 24 * 3_600_000;
/** What one node process may use. More: more worker threads, a larger dedup index and more streams (workers/memory-shares.ts). */
export const nodeMemoryBytesDefault = 512 * MIB;
/** A record's payload; a chunk, a shard slice or a part of a manifest. */
export const recordBytesMax = 16 * MIB;
export const shardSliceBytes = 1 * MIB;
/** A whole pack file. Bounds what a parser may allocate for a hostile one and keeps offsets within 32 bits. */
export const packBytesMax = 1024 * MIB;
/** Room for a target-sized pack of 1-byte records (32 MiB / 41 = 0.8 M); its index is then 40 MiB. */
export const recordsPerPackMax = 1 << 20;
/** Payloads hashed in one call of the kernel: the JOBS region holds 32768 (assembly/memory.ts). */
export const hashJobsMax = 32768;
/** Locations kept of one chunk that only other nodes hold: more than a repair tries, few enough to keep values small. */
export const remoteLocationsMax = 4;

/** Names are keys of the control store; etcd and LMDB keys stay far below their limits of 1.5 MiB and 1978 bytes. */
export const objectNameBytesMax = 512;

/** GF(2^8) has 255 nonzero points: more shards would repeat a row of the matrix. */
export const shardCountMax = 255;
/**
 * Local groups. GF(2^8) is 17 copies of GF(2^4) that share zero alone: a group has the 15 nonzero elements of one for its data
 * (erasure/matrix.ts). Up to 64 shards and 4 global parities the campaign goes through the losses of every scheme there is.
 */
export const localGroupsMax = 17;
export const localGroupDataMax = 15;
export const localShardsMax = 64;
export const globalParityMax = 4;
/** Below 12 domains a stripe is too narrow for local groups: they cost a parity shard each and save few reads. */
export const localDomainsMin = 12;
/** A shard is a multiple of one cache line, so that slices of neighbouring shards never share a line. */
export const shardAlignBytes = 64;
/** Bytes of one shard that are coded at a time: 64 to 512 KiB are equally fast (Zen 3), below 32 KiB calls cost a tenth. */
export const codingSliceBytes = 256 * KIB;
/** Decode recipes kept per codec, one a loss pattern; at k = m = 127 a recipe has 16 KiB. */
export const decodeRecipesMax = 32;

/** One transport message. Below it the per-message cost dominates, above it buffers grow without gain. */
export const messageBytesMax = 1 * MIB;
/** How often a pack's entry is tried to be replaced when the catalog changes meanwhile; after that the next round tries it again. */
export const recodeTriesMax = 16;
/** Bytes a receiver lets one stream have in flight: at least twice 25 Gb/s × 1 ms (research: grpc-js window). */
export const streamCreditBytes = 8 * MIB;
/**
 * The same for a partial sum, which passes through k nodes one after another: two slices on the way and room for the credit to
 * return, as all of it is in memory at each of them.
 */
export const partialCreditBytes = 4 * MIB;

/**
 * Entries of one dedup index: what 4 GiB of wasm32 memory hold after the 2 MiB fixed map, at 12 bytes a slot and a load of
 * 0.75, the least that the index has just after growing. At 64 KiB a chunk 17 TB; more needs sharding by digest prefix.
 */
export const dedupEntriesHighest = Math.floor(((2 ** 32 - 2 * MIB - 8) / 12) * 0.75);
/** What a client may ask a server to keep in flight for it: bounds the memory that one stream can cost the server. */
export const streamCreditBytesMax = 64 * MIB;
/** HTTP/2 window of a gRPC client. Above the credit, so that our credits decide and not a hidden second limit. */
export const connectionWindowBytes = 32 * MIB;
/** A request and one JSON answer of a call: a pack's 2048 chunk digests in text take 140 KiB; larger answers are streamed. */
export const callMessageBytesMax = 1 * MIB;
/** A call's answers: room for the largest one beside the quarter that a receiver may hold back (transport/credit.ts). */
export const callCreditBytes = 4 * callMessageBytesMax;
/** Error text that crosses the wire; HTTP/2 trailers end at 64 KiB (Node's maxHeaderListSize). */
export const wireErrorBytesMax = 8 * KIB;
/** Streams that one connection may open on a server. */
export const streamCountMax = 1024;

/** SPIFFE-ID standard, section 2: whole ID and trust domain. */
export const spiffeIdBytesMax = 2048;
export const trustDomainBytesMax = 255;
/** One certificate in DER, and how many from leaf to root: more is an attack on the parser, not a hierarchy. */
export const certificateBytesMax = 16 * KIB;
export const certificateChainMax = 5;

/**
 * One object. Verifying its manifest holds the envelope (4/3 of the payload), the payload twice (ours and WebCrypto's copy)
 * and the tables. Measured with 5 million chunks and 200,000 entries: 1.4 GB resident to verify, 1.7 GB to sign.
 * 8 million chunks of 64 KiB are an object of 512 GiB; larger ones are put as several objects.
 */
export const manifestChunksMax = 8 * MIB;
export const manifestEntriesMax = 1 * MIB;
/** WebCrypto takes at most 2^31 − 1 bytes at once; half of it leaves room for the envelope of the same array limits. */
export const signedPayloadBytesMax = 1024 * MIB;
/** A stored piece of a signed envelope: one record of type 2. Smaller costs records, larger costs memory per request. */
export const manifestPartBytes = 4 * MIB;
/** Linux PATH_MAX; longer names cannot be opened by path. */
export const entryPathBytesMax = 4096;
/** Each signature costs one hash over the whole payload to check. */
export const signatureCountMax = 16;

/** Keys are names and digests; a page of the embedded store's index holds several of this length. */
export const controlKeyBytesMax = 1024;
/**
 * An object and its packs are published in one transaction: 16384 packs of 32 MiB are 512 GiB, at up to 1 KiB each. An etcd
 * needs --max-txn-ops and --max-request-bytes raised (ARCHITECTURE.md, "etcd"); its defaults, 128 and 1.5 MiB, end at 4 GiB.
 */
export const controlTransactionBytesMax = 16 * MIB;
export const controlTransactionOperationsMax = 20_000;
/** The change log that watchers follow. Larger: watchers may sleep longer before they need a snapshot; smaller: less disk. */
export const controlLogEventsMax = 4096;
export const controlLogBytesMax = 64 * MIB;
/** How late a watcher may learn what another process did; each look costs some microseconds of a read transaction. */
export const controlPollMs = 100;
/** Longer than any restart of a node; a lease that never ends is a key without a lease. */
export const controlLeaseMsMax = 3_600_000;

/**
 * An answer of an etcd. Longer: an election (1 to 2 s with etcd's defaults) and a busy disk are waited out; shorter: a node learns sooner
 * that nobody answers. Below etcd's own 7 s, after which it gives a request up itself.
 */
export const controlCallMs = 5000;
/** Before another member is asked, once more each time: a lease (leaseMs) outlives one member that hangs. */
export const controlAttemptMs = 1000;
/** Longest pause between two rounds over the members while a call has time left. */
export const controlRetryMsMax = 500;
/** HTTP/2 pings to an etcd, which closes connections that ping more often than every 5 s. */
export const controlKeepaliveMs = 10_000;
/** One message of an etcd: what it may put there of a transaction's changes, and a page of entries, which is halved until it fits. */
export const controlAnswerBytesMax = 64 * MIB;
export const controlPageEntriesMax = 1000;

/**
 * A node's lease and its heartbeat. Shorter: a dead node is noticed sooner; longer: a stall (a full disk, a stopped process)
 * is forgiven longer. Three heartbeats a lease, so that one lost beat never costs the name.
 */
export const leaseMs = 3000;
export const heartbeatMs = 1000;
/**
 * How long a pack that nobody who answers has is looked for while a known node is silent: a lease tells within its own length whether that
 * node is gone, and one that starts needs about as long.
 */
export const silenceMsMax = 2 * leaseMs;
/** Between two such looks, each one small call a node. */
export const silenceLookMs = 250;
/** The longest pause between two tries to reach the control store; then a return is noticed within it. */
export const reconnectMsMax = 10_000;

/** Nines that a guard may claim: beyond any loss rate that someone could audit, and 10^N stays a small number. */
export const guardNinesMax = 100;

/**
 * One KWAM program. 10,000 lines of the tour's density are 0.3 MB; the parser's tree takes about 1 KiB a token, so the
 * token bound keeps a hostile file within some hundred MiB and a few seconds.
 */
export const programCharactersMax = 2 * MIB;
export const programTokensMax = 256 * 1024;
/** Braces and brackets within each other; the language itself needs 5. Recursion in parser and resolver is this deep. */
export const programNestingMax = 32;
/** One string or URI, and one number: beyond these nothing in a program has a meaning. */
export const literalCharactersMax = 64 * KIB;
export const numberCharactersMax = 40;
/** A text after its `${…}` are filled in: lets that quote lets could otherwise double at each step. */
export const interpolatedCharactersMax = 64 * KIB;
/** Syntax errors reported of one program, and after which the parser stops: a reader fixes the first ones, and each recovery takes stack. */
export const syntaxErrorsMax = 100;

/**
 * One message to the language server; a longer one is read past. A program takes at most 6 bytes a character in JSON, so this leaves
 * room for texts that the parser then refuses in words.
 */
export const editorMessageBytesMax = 64 * MIB;
export const editorHeaderBytesMax = 4 * KIB;
/** Diagnostics sent of one text at a keystroke: an editor draws each of them, and the first ones are often the cause of the others. */
export const editorDiagnosticsMax = 1000;
/** How long the server waits for the next keystroke before it sends diagnostics: longer than a compile, shorter than a pause. */
export const diagnosticsDelayMs = 60;

/** A SPIFFE or resource pattern; as long as the longest SPIFFE ID. */
export const globCharactersMax = 2048;
/** Pairs of states that a comparison of patterns looks at before it says "not shown". Usual patterns need fewer than a hundred. */
export const globSearchStatesMax = 20_000;
/** An inventory file: 10,000 nodes take about 3 MiB. */
export const inventoryNodesMax = 100_000;

/**
 * A consent token: some hundred bytes of names and digests; this bounds what a hostile one costs before a signature is looked at.
 * Its life: long enough to bring it from a signer's desk to the seed, short enough that a forgotten one is worth nothing; a
 * longer one than a working day would outlive the reason for which it was signed.
 */
export const consentTokenBytesMax = 16 * KIB;
export const consentEnvelopeBytesMax = 64 * KIB;
export const consentLifetimeMsDefault = 3_600_000;
export const consentLifetimeMsMax = 24 * 3_600_000;
/** Names of people, deploys and pools in a token: shown in tables and compared, never parsed. */
export const consentNameCharactersMax = 200;
/** Keys of one policy: each is tried on each signature, 0.1 ms a try. */
export const trustedKeysMax = 64;
/** How long a claim is tried again while the control store changes its leader (etcd: an election of 1 s and a round of retries). */
export const consentClaimPatienceMs = 10_000;
export const consentClaimPauseMs = 100;

/** One line of the audit log: a few names, of which the longest is a SPIFFE ID. */
export const auditLineBytesMax = 16 * KIB;
/** One file of it. Smaller: more files; larger: more to send when one of them is archived or verified elsewhere. */
export const auditFileBytes = 64 * MIB;
/** Given up when the disk is full, so that the decisions can still be recorded that free it again: a thousand of them. */
export const auditReserveBytes = 512 * KIB;
/** How much of the log a power failure may take; a killed process loses none of it. */
export const auditSyncMs = 1000;
/** How much of the log somebody could cut off unseen by the control store. Each anchor is one transaction of each node. */
export const auditAnchorMs = 10_000;
/** What a catalog that is restored to before its youngest moments may lose unseen. Each witness is one transaction of each node. */
export const catalogWitnessMs = 60_000;
/**
 * When a node's own storage counts as failing (health/storage-rate.ts). In order is a drive that gives back at most one bad sector in 10^15
 * bits: JEDEC JESD218's bound for client SSDs, and what nearline disks are sold with; enterprise SSDs have 10^16. The chance of a false drain
 * is a millionth a node and window; three packs, so that no single event empties a node. The window: four rounds of scrub with the
 * default interval.
 */
export const storageBitsPerError = 1e15;
export const drainChanceMax = 1e-6;
export const drainPacksMin = 3;
export const drainWindowMs = 30 * 24 * 3_600_000;
/** Of the nodes that store data, at most so many are drained by that rule at once, and at least one: beyond it, think of a bug first. */
export const drainShareMax = 0.1;
export const drainLookMs = 60_000;
/** What a node remembers of each: nodes lost, domains down, restores. A cluster of a thousand nodes loses about fifty a year. */
export const outagesKeptMax = 1000;
/** Why an operator drains a node: shown in tables. */
export const drainReasonCharactersMax = 200;
/** Documents of other tools: none that we read nests deeper than ten levels. */
export const jsonNestingMax = 64;

/** OCI distribution specification 1.1: registries take manifests of at most 4 MiB. */
export const imageManifestBytesMax = 4 * MIB;
/** Cosign's payload takes 300 bytes and `optional` annotations; a bundle with log entries some 10 KiB. */
export const imagePayloadBytesMax = 64 * KIB;
export const imageBundleBytesMax = 1 * MIB;
/** Signatures of one image, each a few requests and one verification for every accepted key. */
export const imageSignaturesMax = 64;
export const imageReferrerPagesMax = 16;
/** Tokens are JWTs with the rights of one repository. */
export const imageTokenBytesMax = 64 * KIB;
/** One request to a registry, first packet to last byte. */
export const registryTimeoutMs = 30_000;

/** A secret: a key or a chain in PEM is some KiB; Vault stores at most 1 MiB. */
export const secretBytesMax = 1 * MIB;
/** One request to Vault, and how often one that failed by the server's fault is made: 0.2 s + 0.4 s of pauses outlast a change of leader's first errors. */
export const vaultTimeoutMs = 10_000;
export const secretTriesMax = 3;
export const secretTryPauseMs = 200;

/** How often an identity in files or secrets is looked at; renewal comes hours before the end. */
export const identityPollMs = 10_000;
/** Workload API: pauses between tries, patience for the first SVID, and authorities of one trust domain (two, while they rotate). */
export const workloadRetryMsMin = 250;
export const workloadRetryMsMax = 30_000;
export const workloadFirstMs = 30_000;
export const workloadAuthoritiesMax = 32;

assert(chunkBytesMinDefault < chunkBytesTargetDefault, 'min below target');
assert(chunkBytesTargetDefault < chunkBytesMaxDefault, 'target below max');
assert(chunkBytesMaxHighest <= recordBytesMax, 'a chunk fits a record');
assert(shardSliceBytes <= recordBytesMax, 'a slice fits a record');
assert(shardSliceBytes % shardAlignBytes === 0, 'slices keep the alignment of shards');
assert(codingSliceBytes % shardAlignBytes === 0, 'coding slices keep the alignment of shards');
assert(packBytesTarget + recordBytesMax < packBytesMax, 'a pack that overshoots by one record is valid');
assert(streamCreditBytes >= 2 * messageBytesMax, 'credit covers two messages');
assert(partialCreditBytes >= 2 * shardSliceBytes, 'the credit of a partial sum covers two slices');
assert(streamCreditBytes <= streamCreditBytesMax, 'the default credit is allowed');
assert(streamCreditBytes <= connectionWindowBytes, 'one stream never fills the window');
assert(callMessageBytesMax <= messageBytesMax, 'a call message fits a transport message');
assert(manifestPartBytes <= recordBytesMax, 'a part of a manifest fits a record');
assert(manifestChunksMax * 53 < signedPayloadBytesMax, 'the chunk table leaves room for entries');
assert(controlTransactionBytesMax < controlLogBytesMax, 'the newest transaction stays in the log');
assert(2 * controlAttemptMs < leaseMs, 'a member that hangs does not cost the lease');
assert(
  2 * controlTransactionBytesMax < controlAnswerBytesMax,
  'a watcher can be told of the largest transaction',
);
assert(drainPacksMin > 1, 'a single flip drains nothing');
assert(drainWindowMs > scrubIntervalMsDefault, 'the window holds a whole round');
assert(3 * heartbeatMs <= leaseMs, 'two lost heartbeats do not cost the lease');
assert(
  consentTokenBytesMax * 2 < consentEnvelopeBytesMax,
  'an envelope holds its token in base64 and its signatures',
);
assert(consentLifetimeMsDefault <= consentLifetimeMsMax, 'a token lives no longer than allowed by default');
