// Checks the types of the installed package as its users compile them: with the DOM library and without.
// Must never pass over an `any`: that is what a type becomes whose name a user's libraries do not know.

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const TYPE_ROOTS = [fileURLToPath(new URL('../../node_modules/@types', import.meta.url))]

/** What users compile with. */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  'without the DOM library': ['lib.es2022.d.ts'],
  'with the DOM library': ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
}

/** XState says of the input of an actor whose logic is not known that it is any. */
const ALLOWED: ReadonlySet<string> = new Set(['mpp-flow/machines Chart.initial().effects.input'])

/**
 * What is wrong with the types, one line each.
 *
 * @param directory of a project that has the package installed as `mpp-flow`
 * @param entries of the package
 * @param consumer a program of that project, which uses them
 */
export function checkTypes(directory: string, entries: readonly string[], consumer: string): readonly string[] {
  return Object.entries(LIBRARIES).flatMap(([name, lib]) => {
    const program = ts.createProgram([consumer], {
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: false,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      lib: [...lib],
      types: ['node'],
      typeRoots: TYPE_ROOTS,
    })
    const own = (file: string): boolean =>
      file === consumer || file.startsWith(join(directory, 'node_modules/mpp-flow/'))
    const errors = ts
      .getPreEmitDiagnostics(program)
      // Other packages are not ours to mend, but whatever of theirs is `any` is found below where we show it.
      .filter(({ file }) => file === undefined || own(file.fileName))
      .map(({ file, messageText }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`)
    return [...errors, ...anyTypes(program, consumer, entries, own)].map((fault) => `${name}: ${fault}`)
  })
}

/** Where `any` can be reached from what an entry exports, by a way through the package's own types. */
function anyTypes(
  program: ts.Program,
  consumer: string,
  entries: readonly string[],
  own: (file: string) => boolean,
): readonly string[] {
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(consumer)
  if (source === undefined) throw new Error('the program of the user was not compiled')
  const found: string[] = []
  const seen = new Set<ts.Type>()

  const isOwn = (symbol: ts.Symbol | undefined): boolean =>
    (symbol?.declarations ?? []).some((declaration) => own(declaration.getSourceFile().fileName))

  const isFrom = (symbol: ts.Symbol | undefined, folder: string): boolean =>
    (symbol?.declarations ?? []).some((declaration) => declaration.getSourceFile().fileName.includes(folder))

  function visit(type: ts.Type, path: string): void {
    if ((type.flags & ts.TypeFlags.Any) !== 0) {
      if (!ALLOWED.has(path)) found.push(`${path} is any`)
      return
    }
    if (seen.has(type)) return
    seen.add(type)
    if (type.isUnionOrIntersection()) for (const part of type.types) visit(part, path)
    const symbol = type.aliasSymbol ?? type.symbol
    // XState's `Any…` types are any by name, and so are the defaults of its others.
    if (isFrom(symbol, '/node_modules/xstate/')) return
    for (const argument of type.aliasTypeArguments ?? []) visit(argument, path)
    const given = isReference(type) ? checker.getTypeArguments(type) : []
    // `Iterable<T>` is `Iterable<T, any, any>`.
    for (const argument of /Itera(ble|tor)/.test(symbol?.name ?? '') ? given.slice(0, 1) : given) visit(argument, path)
    // What others declare is theirs; what we put into it was an argument of it.
    if (!isOwn(type.symbol)) return
    for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
      for (const parameter of signature.parameters) visitSymbol(parameter, `${path}(${parameter.name})`)
      visit(signature.getReturnType(), `${path}()`)
    }
    for (const property of type.getProperties()) visitSymbol(property, `${path}.${property.name}`)
    for (const { type: value } of checker.getIndexInfosOfType(type)) visit(value, `${path}[…]`)
  }

  function visitSymbol(symbol: ts.Symbol, path: string): void {
    const [declaration] = symbol.declarations ?? []
    if (declaration !== undefined && isPrivate(declaration)) return
    // A member that a library gives to one of our types is that library's.
    if (declaration !== undefined && !own(declaration.getSourceFile().fileName)) return
    visit(checker.getTypeOfSymbolAtLocation(symbol, declaration ?? source ?? raise()), path)
  }

  let exported = 0
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue
    const entry = statement.moduleSpecifier.text
    const module = checker.getSymbolAtLocation(statement.moduleSpecifier)
    if (!entries.includes(entry) || module === undefined) continue
    for (const symbol of checker.getExportsOfModule(module)) {
      const actual = (symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol)
      const path = `${entry} ${symbol.name}`
      exported += 1
      if ((actual.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias | ts.SymbolFlags.Class)) !== 0)
        visit(checker.getDeclaredTypeOfSymbol(actual), path)
      if ((actual.flags & ts.SymbolFlags.Value) !== 0) visitSymbol(actual, path)
    }
  }
  if (exported < 100) throw new Error(`only ${exported} exports were looked at`)
  return [...new Set(found)]
}

/** A `#private` member is written into declarations without its type. */
function isPrivate(declaration: ts.Declaration): boolean {
  const name = ts.getNameOfDeclaration(declaration)
  return name !== undefined && ts.isPrivateIdentifier(name)
}

function raise(): never {
  throw new Error('there is no place to look a type up from')
}

function isReference(type: ts.Type): type is ts.TypeReference {
  return 'target' in type && 'typeArguments' in type
}
