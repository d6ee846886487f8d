// Finds the anvil program that npm's @foundry-rs/anvil brings for this machine.
// Must never download or run anything: a missing program is one clear line about what to install.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const ANVIL_PACKAGE = '@foundry-rs/anvil'
const INSTALL = 'npm install --save-dev @foundry-rs/anvil@1.7.1'

/** The program is not a dependency of the library, only of its sandbox, so it may be absent. */
export class AnvilMissing extends Error {
  override readonly name = 'AnvilMissing'
}

/**
 * The path of the anvil program for this operating system and processor.
 *
 * It is looked for beside this library first, then beside the program that runs (strict package managers hide a
 * project's packages from its dependencies).
 *
 * @throws {@link AnvilMissing} naming the command that installs it.
 */
export function findAnvil(
  platform: NodeJS.Platform = process.platform,
  arch: string = process.arch,
  startingPoints: readonly string[] = [import.meta.url, pathToFileURL(join(process.cwd(), 'package.json')).href],
): string {
  const processor = arch === 'x64' ? 'amd64' : arch
  const program = `${ANVIL_PACKAGE}-${platform}-${processor}/bin/${platform === 'win32' ? 'anvil.exe' : 'anvil'}`
  for (const start of startingPoints) {
    const main = resolveFrom(start, `${ANVIL_PACKAGE}/package.json`)
    // The program's package is a dependency of the main one, so that one sees it even where nobody else does.
    const path = (main && resolveFrom(pathToFileURL(main).href, program)) ?? resolveFrom(start, program)
    if (path !== undefined && existsSync(path)) return path
  }
  throw new AnvilMissing(`The sandbox needs the anvil program for ${platform}-${arch}; install it with: ${INSTALL}`)
}

function resolveFrom(url: string, specifier: string): string | undefined {
  try {
    return createRequire(url).resolve(specifier)
  } catch {
    // Not found from here; the caller looks elsewhere and says so when nowhere is left.
    return undefined
  }
}
