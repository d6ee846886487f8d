// The paths of each setting together.
// Must never change a plan.

import type { PathPlan, Setting } from '../../testing/index.js'

/** The paths of each setting, in the order in which settings first come. */
export function bySetting(paths: readonly PathPlan[]): readonly { setting: Setting; paths: readonly PathPlan[] }[] {
  const groups = new Map<string, { setting: Setting; paths: PathPlan[] }>()
  for (const path of paths) {
    const { setting } = path
    const group = groups.get(setting.name) ?? { setting, paths: [] }
    group.paths.push(path)
    groups.set(setting.name, group)
  }
  return [...groups.values()]
}
