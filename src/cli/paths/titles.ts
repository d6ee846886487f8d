// A title of its own for every path of an export, and the paths of each setting together.
// Must never change a plan.

import type { PathPlan, Setting } from '../../testing/index.js'

/** A plan under a title that no other plan of the export has. */
export interface Titled {
  readonly title: string
  readonly plan: PathPlan
}

/** Plans of the same name, which take the same event in different states, are numbered. */
export function titled(plans: readonly PathPlan[]): readonly Titled[] {
  const seen = new Map<string, number>()
  return plans.map((plan) => {
    const times = (seen.get(plan.name) ?? 0) + 1
    seen.set(plan.name, times)
    return { title: times === 1 ? plan.name : `${plan.name} (${times})`, plan }
  })
}

/** The paths of each setting, in the order in which settings first come. */
export function bySetting(paths: readonly Titled[]): readonly { setting: Setting; paths: readonly Titled[] }[] {
  const groups = new Map<string, { setting: Setting; paths: Titled[] }>()
  for (const path of paths) {
    const { setting } = path.plan
    const group = groups.get(setting.name) ?? { setting, paths: [] }
    group.paths.push(path)
    groups.set(setting.name, group)
  }
  return [...groups.values()]
}
