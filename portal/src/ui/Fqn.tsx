// A signal's full name, that breaks behind its dots when it must.
import { For, type JSX } from 'solid-js'

export function Fqn(props: { name: string; class?: string }): JSX.Element {
  const parts = (): string[] => props.name.split('.')
  return (
    <code class={props.class}>
      <For each={parts()}>
        {(part, i) => (
          <>
            {part}
            {i() < parts().length - 1 ? '.' : ''}
            <wbr />
          </>
        )}
      </For>
    </code>
  )
}
