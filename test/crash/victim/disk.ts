// A file layer that fails as disks do when the power goes: torn temporary files, names that come back, files that are half there.
// Must never write anything but what the store asked for, or the first half of it.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { type FileLayer, nodeFileLayer } from '../../../src/files/index.js'
import type { DiskFault } from '../task.js'
import { die, type Points, type Say } from './points.js'

const half = (text: string): string => text.slice(0, Math.floor(text.length / 2))

function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Not there: the first record of a channel takes nobody's place.
    return null
  }
}

/** Counts the writes of armed steps, and dies in the one that the fault names. */
export function faultyDisk(fault: DiskFault | null, points: Points, say: Say): FileLayer {
  let writes = 0
  const strikes = (kind: DiskFault['kind']): boolean =>
    points.armed && fault !== null && fault.kind === kind && fault.write === writes
  return {
    ...nodeFileLayer,
    async create(path) {
      const file = await nodeFileLayer.create(path)
      return {
        ...file,
        async write(text) {
          if (points.armed) {
            writes += 1
            say({ say: 'write', count: writes })
          }
          if (strikes('torn')) {
            writeFileSync(path, half(text))
            die()
          }
          await file.write(text)
        },
      }
    },
    async rename(from, to) {
      const before = contentOf(to)
      const text = contentOf(from)
      const renamed = await nodeFileLayer.rename(from, to)
      if (!renamed || text === null) return renamed
      if (strikes('undone')) {
        // The folder was not synced: after the power cut it has its old names.
        renameSync(to, from)
        if (before === null) rmSync(to, { force: true })
        else writeFileSync(to, before)
        die()
      }
      if (strikes('lying')) {
        writeFileSync(to, half(text))
        die()
      }
      return renamed
    },
  }
}
