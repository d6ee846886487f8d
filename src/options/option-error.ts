// The error for options that a caller got wrong.
// Must never carry what was given: options hold keys.

/**
 * An option has a wrong value, or there is no such option. Thrown before anything is done.
 *
 * @example
 * ```ts
 * import { createMppClient, type MppClientOptions, OptionError } from 'mpp-flow'
 *
 * export function start(options: MppClientOptions) {
 *   try {
 *     return createMppClient(options)
 *   } catch (error) {
 *     if (error instanceof OptionError) console.error(error.option, error.message)
 *     throw error
 *   }
 * }
 * ```
 */
export class OptionError extends TypeError {
  override readonly name = 'OptionError'

  constructor(
    /** Where the option is, such as `policy.maxDeposit` or `controls[0].id`; empty when it is the options as a whole. */
    readonly option: string,
    /** Names the option and what is expected; safe to show and to log. */
    message: string,
  ) {
    super(message)
  }
}
