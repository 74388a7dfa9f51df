// The trigger's text. The server checks it while one types; an error is shown with its place.
import { For, Show, createEffect, createSignal, on, onCleanup, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import type { ExpressionResult } from '../../api/types'
import { t } from '../../text/text'
import { Field } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { errorWords, insert, operators, placeOf, variable } from './expression'

export function ExpressionField(props: { value: string; onInput: (value: string) => void; error: string | undefined; force: boolean; insertable: string[]; onResult: (result: ExpressionResult | undefined) => void }): JSX.Element {
  const [result, setResult] = createSignal<ExpressionResult>()
  const [checked, setChecked] = createSignal('')
  const [failure, setFailure] = createSignal('')
  let area!: HTMLTextAreaElement
  let running: AbortController | undefined
  createEffect(
    on(
      () => props.value,
      (text) => {
        running?.abort()
        if (!text.trim()) {
          setResult(undefined)
          props.onResult(undefined)
          return
        }
        const mine = (running = new AbortController())
        const timer = setTimeout(() => {
          call('expression_check', { body: { expression: text } }, mine.signal)
            .then((answer) => {
              setFailure('')
              setChecked(text)
              setResult(answer)
              props.onResult(answer)
            })
            .catch((cause: unknown) => {
              if (!mine.signal.aborted && cause instanceof ApiError) setFailure(cause.message)
            })
        }, 250)
        onCleanup(() => clearTimeout(timer))
      },
    ),
  )
  function put(piece: string): void {
    const next = insert(area.value, area.selectionStart, area.selectionEnd, piece)
    props.onInput(next.text)
    area.value = next.text
    const caret = piece.endsWith('()') ? next.caret - 1 : next.caret
    area.focus()
    area.setSelectionRange(caret, caret)
  }
  const fresh = (): boolean => checked() === props.value
  return (
    <div class="expression">
      <Field label={t('editor.expression')} help={t('editor.expression.help')} error={props.error} force={props.force}>
        {(ids) => (
          <textarea
            id={ids().id}
            ref={area}
            class="input code expression-text"
            rows={3}
            spellcheck={false}
            maxlength={2048}
            value={props.value}
            aria-describedby={`${ids().describedBy ?? ''} expression-answer`}
            aria-invalid={ids().invalid || (result() && !result()?.valid) || undefined}
            onInput={(event) => props.onInput(event.currentTarget.value)}
            onBlur={() => ids().leave()}
          />
        )}
      </Field>
      <div id="expression-answer" class="expression-answer" aria-live="polite" classList={{ 'is-stale': !fresh() }}>
        <Show when={failure()}>
          <p class="field-error">{failure()}</p>
        </Show>
        <Show when={result()}>
          {(answer) => (
            <Show
              when={answer().valid}
              fallback={
                <>
                  <Status tone="critical">
                    {errorWords(answer().error)}
                    <Show when={answer().at !== undefined}> {t('expression.at', { line: placeOf(checked(), answer().at ?? 0).line, column: placeOf(checked(), answer().at ?? 0).column })}</Show>
                  </Status>
                  <Show when={answer().at !== undefined}>
                    <code class="expression-place">
                      {placeOf(checked(), answer().at ?? 0).before}
                      <mark>{placeOf(checked(), answer().at ?? 0).mark || ' '}</mark>
                      {placeOf(checked(), answer().at ?? 0).after}
                    </code>
                  </Show>
                </>
              }
            >
              <Status tone="ok">{t('expression.valid', { count: answer().signals?.length ?? 0, depth: answer().depth ?? 0 })}</Status>
            </Show>
          )}
        </Show>
      </div>
      <div class="expression-pieces" role="group" aria-label={t('expression.insert')}>
        <For each={operators}>
          {(operator) => (
            <button type="button" class="button quiet code" title={t(`expression.${operator.word}`)} onClick={() => put(operator.piece)}>
              {operator.piece}
            </button>
          )}
        </For>
        <Show when={props.insertable.length}>
          <select
            class="input"
            aria-label={t('expression.signal')}
            onChange={(event) => {
              if (event.currentTarget.value) put(variable(event.currentTarget.value))
              event.currentTarget.value = ''
            }}
          >
            <option value="">{t('expression.signal')}</option>
            <For each={props.insertable}>{(fqn) => <option value={fqn}>{fqn}</option>}</For>
          </select>
        </Show>
      </div>
    </div>
  )
}
