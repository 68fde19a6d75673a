/**
 * Makes build/kwam.vsix, the extension of VS Code in editors/vscode.
 * A vsix is a zip of the extension with two XML files, by the Open Packaging Conventions. @vscode/vsce would write the same, and bring
 * some 120 packages and 90 MB with it to publish in a marketplace, which a proprietary extension does not; here it is esbuild and a
 * zip library without dependencies. Equal sources give equal bytes: names are sorted and no time is kept.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { zipSync } from 'fflate';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const source = join(root, 'editors/vscode');
const target = join(root, 'build/kwam.vsix');

/** What goes in as it is; code is bundled. */
const FILES = [
  'package.json',
  'README.md',
  'LICENSE.txt',
  'language-configuration.json',
  'syntaxes/kwam.tmLanguage.json',
];
/** The first moment that a zip can name. */
const NO_TIME = new Date(1980, 0, 1);

const TYPES = {
  json: 'application/json',
  js: 'application/javascript',
  md: 'text/markdown',
  txt: 'text/plain',
};

function escaped(text) {
  const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };
  return text.replace(/[&<>"']/g, (mark) => entities[mark]);
}

function contentTypes() {
  const rows = Object.entries({ ...TYPES, vsixmanifest: 'text/xml' }).map(
    ([extension, type]) => `<Default Extension=".${extension}" ContentType="${type}"/>`,
  );
  return `<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">${rows.join('')}</Types>
`;
}

/** Source: the form that VS Code reads, as @vscode/vsce 4.1 writes it. */
function vsixManifest(manifest) {
  const { name, version, publisher, displayName, description, engines, keywords, categories } = manifest;
  const languages = manifest.contributes.languages.flatMap(({ id, extensions }) => [
    id,
    ...extensions.map((extension) => `__ext_${extension.slice(1)}`),
  ]);
  const properties = {
    'Microsoft.VisualStudio.Code.Engine': engines.vscode,
    'Microsoft.VisualStudio.Code.ExtensionDependencies': '',
    'Microsoft.VisualStudio.Code.ExtensionPack': '',
    'Microsoft.VisualStudio.Code.ExtensionKind': manifest.extensionKind.join(','),
    'Microsoft.VisualStudio.Code.LocalizedLanguages': '',
    'Microsoft.VisualStudio.Code.ExecutesCode': 'true',
  };
  const rows = Object.entries(properties).map(
    ([id, value]) => `<Property Id="${id}" Value="${escaped(value)}" />`,
  );
  return `<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011" xmlns:d="http://schemas.microsoft.com/developer/vsx-schema-design/2011">
  <Metadata>
    <Identity Language="en-US" Id="${escaped(name)}" Version="${escaped(version)}" Publisher="${escaped(publisher)}" />
    <DisplayName>${escaped(displayName)}</DisplayName>
    <Description xml:space="preserve">${escaped(description)}</Description>
    <Tags>${escaped([...new Set([...keywords, ...languages])].join(','))}</Tags>
    <Categories>${escaped(categories.join(','))}</Categories>
    <GalleryFlags>Public</GalleryFlags>
    <Properties>
      ${rows.join('\n      ')}
    </Properties>
    <License>extension/LICENSE.txt</License>
  </Metadata>
  <Installation>
    <InstallationTarget Id="Microsoft.VisualStudio.Code"/>
  </Installation>
  <Dependencies/>
  <Assets>
    <Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json" Addressable="true" />
    <Asset Type="Microsoft.VisualStudio.Services.Content.Details" Path="extension/README.md" Addressable="true" />
    <Asset Type="Microsoft.VisualStudio.Services.Content.License" Path="extension/LICENSE.txt" Addressable="true" />
  </Assets>
</PackageManifest>
`;
}

/** The licences of what the bundle contains, as they ask for. */
function notices({ inputs }) {
  const packages = Object.keys(inputs).flatMap(
    (path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? [],
  );
  const texts = [...new Set(packages)].sort().map((path) => {
    const directory = join(root, path);
    const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const file = readdirSync(directory).find((each) => /^licen[cs]e/i.test(each));
    if (file === undefined) throw new Error(`expected the licence of ${name} in ${path}, got none`);
    return `${name} ${version}, ${license}\n\n${readFileSync(join(directory, file), 'utf8').trim()}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}

/** The oldest VS Code that the manifest allows runs extensions on Node 20. */
async function bundle() {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: [join(source, 'src/extension.mts')],
    bundle: true,
    minify: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    external: ['vscode'],
    legalComments: 'eof',
    write: false,
    metafile: true,
    logLevel: 'warning',
  });
  return { code: outputFiles[0].contents, licences: notices(metafile) };
}

const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
const { code, licences } = await bundle();
const text = (content) => new TextEncoder().encode(content);
const files = {
  'extension.vsixmanifest': text(vsixManifest(manifest)),
  '[Content_Types].xml': text(contentTypes()),
  ...Object.fromEntries(FILES.map((name) => [`extension/${name}`, readFileSync(join(source, name))])),
  'extension/THIRD-PARTY.txt': text(licences),
  [join('extension', manifest.main)]: code,
};
const bytes = zipSync(files, { level: 9, mtime: NO_TIME });
mkdirSync(dirname(target), { recursive: true });
writeFileSync(target, bytes);
process.stderr.write(`vscode: build/kwam.vsix, ${bytes.length} bytes\n`);
