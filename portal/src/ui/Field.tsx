// Label above, help below, the complaint beside the field with its cure: shown once the field was left.
import { For, Show, createSignal, createUniqueId, type JSX } from 'solid-js'
import { afterPress } from './pressed'

export interface FieldIds {
  id: string
  describedBy: string | undefined
  invalid: boolean
  leave: () => void
}

export function Field(props: { label: string; help?: string; error?: string | undefined; optional?: string; force?: boolean; class?: string; children: (ids: () => FieldIds) => JSX.Element }): JSX.Element {
  const id = createUniqueId()
  const [left, setLeft] = createSignal(false)
  const complaint = (): string | undefined => (left() || props.force ? props.error : undefined)
  const ids = (): FieldIds => ({
    id,
    describedBy: [props.help ? `${id}-help` : '', complaint() ? `${id}-error` : ''].filter(Boolean).join(' ') || undefined,
    invalid: !!complaint(),
    leave: () => afterPress(() => setLeft(true)),
  })
  return (
    <div class={`field ${props.class ?? ''}`}>
      <label for={id}>
        {props.label}
        <Show when={props.optional}>
          <span class="field-optional">{props.optional}</span>
        </Show>
      </label>
      {props.children(ids)}
      <Show when={complaint()}>
        <p class="field-error" id={`${id}-error`}>
          {complaint()}
        </p>
      </Show>
      <Show when={props.help}>
        <p class="field-help" id={`${id}-help`}>
          {props.help}
        </p>
      </Show>
    </div>
  )
}

interface TextProps {
  label: string
  value: string
  onInput: (value: string) => void
  help?: string
  error?: string | undefined
  optional?: string
  force?: boolean
  type?: string
  code?: boolean
  autocomplete?: string
  class?: string
  min?: number
  max?: number
  step?: number | 'any'
  unit?: string
  required?: boolean
  autofocus?: boolean
}

export function TextField(props: TextProps): JSX.Element {
  return (
    <Field label={props.label} help={props.help} error={props.error} optional={props.optional} force={props.force} class={props.class}>
      {(ids) => (
        <span class="input-frame" classList={{ 'has-unit': !!props.unit }}>
          <input
            id={ids().id}
            class="input"
            classList={{ code: props.code }}
            type={props.type ?? 'text'}
            value={props.value}
            min={props.min}
            max={props.max}
            step={props.step}
            required={props.required}
            autofocus={props.autofocus}
            autocomplete={props.autocomplete ?? 'off'}
            spellcheck={false}
            aria-describedby={ids().describedBy}
            aria-invalid={ids().invalid || undefined}
            onInput={(event) => props.onInput(event.currentTarget.value)}
            onBlur={() => ids().leave()}
          />
          <Show when={props.unit}>
            <span class="input-unit">{props.unit}</span>
          </Show>
        </span>
      )}
    </Field>
  )
}

export interface Choice<V extends string> {
  value: V
  label: string
}

export function SelectField<V extends string>(props: { label: string; value: V; choices: Choice<V>[]; onChange: (value: V) => void; help?: string; error?: string; force?: boolean; class?: string }): JSX.Element {
  return (
    <Field label={props.label} help={props.help} error={props.error} force={props.force} class={props.class}>
      {(ids) => (
        <select id={ids().id} class="input" aria-describedby={ids().describedBy} aria-invalid={ids().invalid || undefined} onBlur={() => ids().leave()} onChange={(event) => props.onChange(event.currentTarget.value as V)}>
          <For each={props.choices}>
            {(choice) => (
              <option value={choice.value} selected={choice.value === props.value}>
                {choice.label}
              </option>
            )}
          </For>
        </select>
      )}
    </Field>
  )
}

/** A few exclusive choices side by side: radio buttons that look like one control. */
export function Segments<V extends string>(props: { label: string; value: V; choices: Choice<V>[]; onChange: (value: V) => void; hideLabel?: boolean }): JSX.Element {
  const name = createUniqueId()
  return (
    <fieldset class="segments">
      <legend class={props.hideLabel ? 'hidden-text' : ''}>{props.label}</legend>
      <div class="segments-row">
        <For each={props.choices}>
          {(choice) => (
            <label class="segment">
              <input type="radio" name={name} value={choice.value} checked={props.value === choice.value} onChange={() => props.onChange(choice.value)} />
              <span>{choice.label}</span>
            </label>
          )}
        </For>
      </div>
    </fieldset>
  )
}

export function Check(props: { label: string; help?: string; checked: boolean; onChange: (checked: boolean) => void }): JSX.Element {
  return (
    <label class="check">
      <input type="checkbox" checked={props.checked} onChange={(event) => props.onChange(event.currentTarget.checked)} />
      <span>
        {props.label}
        <Show when={props.help}>
          <span class="check-help">{props.help}</span>
        </Show>
      </span>
    </label>
  )
}
