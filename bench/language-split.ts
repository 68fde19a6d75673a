/**
 * Where a cold `check` spends its time, as one JSON line: run as a process of its own by language.bench.ts.
 * In: a program as argument. Out: milliseconds of each stage in the order in which the command goes through them.
 */
import module from 'node:module';

module.enableCompileCache?.();
const stages: Record<string, number> = {};
let last = 0;
function done(stage: string): void {
  const now = performance.now();
  stages[stage] = now - last;
  last = now;
}

done('process start');
const [file = ''] = process.argv.slice(2);
const { modulesOf } = await import('../src/cli/module-loading.ts');
const { programText } = await import('../src/cli/program-file.ts');
const { parse } = await import('../src/language/parse.ts');
const { resolve } = await import('../src/language/resolve.ts');
const { check } = await import('../src/language/check.ts');
const { guardVerdicts } = await import('../src/language/guard-verdict.ts');
const { renderPretty } = await import('../src/language/render-pretty.ts');
done('load code');
const text = programText(file);
const { modules, tables } = await modulesOf(file, text, { environment: process.env });
done('verify modules');
const parsed = parse(file, text);
done('parse');
const { program } = resolve(parsed, modules);
done('resolve');
const diagnostics = check(program, { tables });
guardVerdicts(program, { tables });
done('check');
renderPretty(diagnostics, [parsed.source], { colour: false });
done('render');
console.log(JSON.stringify(stages));
