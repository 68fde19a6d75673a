/**
 * The parser: Langium's, with a lexer that balances brackets first.
 * In: a program's text. Out: a syntax tree, the comments, and what went wrong; never an exception for any text.
 * The services are made on first use, because that costs more than parsing an ordinary program.
 * Langium comes as one file, build/langium.mjs (scripts/generate-language.mjs): its modules take longer to load than a program to check.
 * Texts beyond the limits are not lexed at all; size-limits.ts decides that before.
 */
import type { LangiumCoreServices, LangiumParser, LexerResult, ParseResult } from 'langium';
import {
  createDefaultCoreModule,
  createDefaultSharedCoreModule,
  DefaultLexer,
  EmptyFileSystem,
  inject,
} from '../../build/langium.mjs';
import { syntaxErrorsMax } from '../limits.ts';
import { KwamGeneratedModule, KwamGeneratedSharedModule } from './generated/module.ts';
import { type Repair, repairTokens } from './token-repair.ts';

export interface Comment {
  readonly text: string;
  readonly startOffset: number;
  readonly endOffset: number;
}

export interface SyntaxTree {
  readonly root: ParseResult['value'];
  readonly lexerErrors: ParseResult['lexerErrors'];
  readonly parserErrors: ParseResult['parserErrors'];
  readonly repairs: readonly Repair[];
  readonly comments: readonly Comment[];
  /** Strings that their line does not close. */
  readonly openTexts: readonly OpenText[];
}

export type OpenText = Pick<Comment, 'text' | 'startOffset'>;

/** Langium's lexer, with balanced brackets; what it repaired and the comments are kept until the next text. */
class BalancingLexer extends DefaultLexer {
  repairs: readonly Repair[] = [];
  comments: readonly Comment[] = [];
  openTexts: readonly OpenText[] = [];

  override tokenize(text: string): LexerResult {
    const result = super.tokenize(text);
    const { tokens, repairs } = repairTokens(result.tokens, this.definition);
    this.repairs = repairs;
    this.openTexts = result.tokens
      .filter((token) => token.tokenType.name === 'OPEN_TEXT')
      .map(({ image, startOffset }) => ({ text: image, startOffset }));
    this.comments = result.hidden
      .filter((token) => token.tokenType.name === 'COMMENT')
      .map(({ image, startOffset }) => ({
        text: image.trimEnd(),
        startOffset,
        endOffset: startOffset + image.length,
      }));
    return { ...result, tokens };
  }
}

const KwamParserModule = {
  parser: { Lexer: (services: LangiumCoreServices) => new BalancingLexer(services) },
};

interface Parts {
  readonly parser: LangiumParser;
  readonly lexer: BalancingLexer;
}

let parts: Parts | undefined;

/** What Chevrotain does at an error; not in its types. */
interface ErrorKeeping {
  errors: readonly unknown[];
  SAVE_ERROR(error: unknown): unknown;
  moveToTerminatedState(): void;
}

/**
 * Chevrotain recovers within a repetition by calling itself, so that thousands of errors exhaust the stack. After as many as are ever
 * shown the rest of the text is passed over.
 */
function endAfterErrors(parser: LangiumParser, errorsMax: number): void {
  const keeping = parser['wrapper'] as unknown as ErrorKeeping;
  const save = keeping.SAVE_ERROR;
  keeping.SAVE_ERROR = (error) => {
    const saved = save.call(keeping, error);
    if (keeping.errors.length >= errorsMax) keeping.moveToTerminatedState();
    return saved;
  };
}

function makeParts(): Parts {
  const shared = inject(createDefaultSharedCoreModule(EmptyFileSystem), KwamGeneratedSharedModule);
  const services = inject(createDefaultCoreModule({ shared }), KwamGeneratedModule, KwamParserModule);
  shared.ServiceRegistry.register(services);
  endAfterErrors(services.parser.LangiumParser, syntaxErrorsMax);
  return { parser: services.parser.LangiumParser, lexer: services.parser.Lexer as BalancingLexer };
}

export function parseText(text: string): SyntaxTree {
  parts ??= makeParts();
  const { value, lexerErrors, parserErrors } = parts.parser.parse(text);
  const { repairs, comments, openTexts } = parts.lexer;
  return { root: value, lexerErrors, parserErrors, repairs, comments, openTexts };
}
