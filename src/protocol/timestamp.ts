// Reads RFC 3339 timestamps strictly.
// Must never fall back to the engine's own date parser, which accepts far more than the standard.
import { type Parsed, parsed, refused } from './parsed.js'

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/
const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * Milliseconds since the epoch of an RFC 3339 date-time; digits beyond the millisecond are cut off. Leap seconds (`:60`)
 * are refused: they have no place on a clock that counts from the epoch.
 */
export function parseTimestamp(text: string): Parsed<number, 'malformed'> {
  const match = RFC3339.exec(text)
  if (match === null) return refused('malformed', 'expected an RFC 3339 date-time')
  const field = (group: number): number => Number(match[group] ?? '0')
  const [year, month, day, hour, minute, second] = [field(1), field(2), field(3), field(4), field(5), field(6)]
  const [offsetHour, offsetMinute] = [field(9), field(10)]
  const leapDay = month === 2 && isLeapYear(year) ? 1 : 0
  const daysInMonth = (MONTH_DAYS[month - 1] ?? 0) + leapDay
  if (day < 1 || day > daysInMonth) return refused('malformed', 'a date that does not exist')
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) {
    return refused('malformed', 'a time that does not exist')
  }
  const milliseconds = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3))
  // Years below 100 would be taken for the 1900s by Date.UTC, so the year is set by itself.
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second, milliseconds)
  const offset = (offsetHour * 60 + offsetMinute) * 60_000
  return parsed(date.getTime() - (match[8] === '-' ? -offset : offset))
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}
