// From a series as the server sent it, and the live samples after it, to the columns that uPlot draws.
export interface Sample {
  time: number
  value: number
}
export interface SeriesLike {
  downsampled: boolean
  bucket_ms?: number
  time: number[]
  mean: number[]
  min: number[]
  max: number[]
}
/** x in seconds; mean, min, max with null where there is a gap. */
export type Columns = [number[], (number | null)[], (number | null)[], (number | null)[]]

/** A pause this long breaks the line: three times the usual distance between samples, at least two seconds. */
export function gapOf(time: number[], bucket: number): number {
  if (time.length < 3) return Math.max(bucket * 2.5, 60_000)
  const steps: number[] = []
  for (let i = 1; i < time.length; i++) steps.push((time[i] ?? 0) - (time[i - 1] ?? 0))
  steps.sort((a, b) => a - b)
  const usual = steps[Math.floor(steps.length / 2)] ?? 0
  return Math.max(2000, usual * 3, bucket * 2.5)
}

export function columnsOf(series: SeriesLike | undefined, tail: Sample[], from: number, to: number, change: (value: number) => number): Columns {
  const out: Columns = [[], [], [], []]
  const time = series?.time ?? []
  const gap = gapOf(time.length > 2 ? time : tail.map((s) => s.time), series?.downsampled ? (series.bucket_ms ?? 0) : 0)
  let before = NaN
  const put = (at: number, mean: number, low: number, high: number): void => {
    if (at < from || at > to) return
    if (at - before > gap) {
      out[0].push((before + 1) / 1000)
      out[1].push(null)
      out[2].push(null)
      out[3].push(null)
    }
    const a = change(low)
    const b = change(high)
    out[0].push(at / 1000)
    out[1].push(change(mean))
    out[2].push(Math.min(a, b))
    out[3].push(Math.max(a, b))
    before = at
  }
  for (let i = 0; i < time.length; i++) put(time[i] ?? 0, series?.mean[i] ?? 0, series?.min[i] ?? 0, series?.max[i] ?? 0)
  const end = time[time.length - 1] ?? -Infinity
  for (const sample of tail) if (sample.time > end) put(sample.time, sample.value, sample.value, sample.value)
  return out
}

export function extent(columns: Columns): [number, number] | undefined {
  let low = Infinity
  let high = -Infinity
  for (const value of columns[2]) if (value !== null && value < low) low = value
  for (const value of columns[3]) if (value !== null && value > high) high = value
  return low <= high ? [low, high] : undefined
}
