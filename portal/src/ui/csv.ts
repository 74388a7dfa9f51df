// Rows as RFC 4180 text: the unit stands in the header, what is not known is empty.
export interface CsvColumn<T> {
  header: string
  unit?: string
  value?: (row: T) => string | number
}

export function csvOf<T>(columns: CsvColumn<T>[], rows: T[]): string {
  const quote = (text: string): string => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  const head = columns.map((c) => quote(c.unit ? `${c.header} [${c.unit}]` : c.header)).join(',')
  const line = (row: T): string =>
    columns
      .map((c) => {
        const value = c.value?.(row) ?? ''
        return typeof value === 'number' ? (Number.isFinite(value) ? String(value) : '') : quote(value)
      })
      .join(',')
  return [head, ...rows.map(line)].join('\n') + '\n'
}
