// Proves that imports point one way, as docs/architecture.md draws them.
// Must never be loosened to let a lower layer see a higher one.
const layer = (name, from, allowed) => ({
  name: `${name}-imports-only-lower-layers`,
  severity: 'error',
  from: { path: from },
  to: { pathNot: [...allowed, from, '^node_modules', '^machines/'], path: '^(src|machines|test|docs|fixtures)/' },
})

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, pathNot: ['\\.d\\.ts$'] }, to: {} },
    {
      name: 'machines-import-nothing-of-the-world',
      severity: 'error',
      from: { path: '^machines/' },
      to: { pathNot: ['^machines/', '^node_modules/xstate/'] },
    },
    layer('protocol', '^src/protocol/', []),
    layer('tempo', '^src/tempo/', ['^src/protocol/']),
    layer('options', '^src/options/', ['^src/protocol/']),
    layer('sessions', '^src/sessions/', ['^src/(options|tempo|protocol)/']),
    layer('store-entries', '^src/(files|postgres)/', ['^src/sessions/']),
    {
      name: 'core-needs-no-file-system-or-database',
      severity: 'error',
      from: { path: '^src/(client|provider|sessions/index|index)' },
      to: { path: '^src/(files|postgres|sessions/(file-store|postgres))' },
    },
    layer('client', '^src/client/', ['^src/(sessions|options|tempo|protocol)/']),
    layer('provider', '^src/provider/', ['^src/(sessions|options|tempo|protocol)/']),
    {
      name: 'main-entry-has-no-account-owned-routes',
      severity: 'error',
      from: { path: '^src/(index|client/)' },
      to: { path: '^src/provider/' },
    },
    {
      name: 'sandbox-shares-wire-formats-not-decisions',
      severity: 'error',
      from: { path: '^src/sandbox/' },
      to: { path: '^(src/(client|provider|sessions|testing|inspect|cli)|machines)/' },
    },
    {
      name: 'library-never-imports-the-command-line',
      severity: 'error',
      from: { pathNot: '^src/cli/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'library-never-imports-tests',
      severity: 'error',
      from: { path: '^(src|machines)/' },
      to: { path: '^(test|docs|fixtures)/' },
    },
    {
      name: 'no-development-packages-in-the-library',
      severity: 'error',
      from: { path: '^(src|machines)/', pathNot: '^src/(cli|sandbox|inspect|sessions/file-store-layer)' },
      // A subpath import of this package itself stands for a package that is listed.
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['aliased-subpath-import', 'npm-peer'],
      },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
}
