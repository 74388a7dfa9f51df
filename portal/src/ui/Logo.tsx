import type { JSX } from 'solid-js'

/** Three chevrons in file, the first one in the accent colour. */
export function Logo(props: { size?: number }): JSX.Element {
  return (
    <svg viewBox="0 0 32 32" width={props.size ?? 24} height={props.size ?? 24} fill="none" stroke-width="3.6" aria-hidden="true" class="logo">
      <path d="M4 9l6 7-6 7" stroke="currentColor" opacity="0.55" />
      <path d="M13 9l6 7-6 7" stroke="currentColor" opacity="0.8" />
      <path d="M22 9l6 7-6 7" stroke="var(--accent)" />
    </svg>
  )
}
