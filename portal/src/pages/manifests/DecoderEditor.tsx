// One decoder: its form beside its document. Both show the same; what is typed in one stands in the other at once, with every complaint beside its place.
import { For, Show, createEffect, createMemo, createSignal, on, type JSX } from 'solid-js'
import { textOf } from '../../api/document'
import { t, word } from '../../text/text'
import { Check, SelectField, TextField } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { decoderComplaints, decoderFields, decoderTypes, fieldValue, interfaceFor, isObject, parseJson, pretty, typeOf, valueOf, withField, type Complaint, type DecoderType, type Document, type FieldRule } from './document'

interface Props {
  decoder: Document
  interfaces: readonly Document[]
  readonly: boolean
  /** What the server said of this decoder when it was last saved. */
  refused: string | undefined
  onChange: (next: Document) => void
  onRemove: () => void
}

export function DecoderEditor(props: Props): JSX.Element {
  // The document's text is its own while it is no JSON; otherwise it follows the decoder.
  const [text, setText] = createSignal(pretty(props.decoder))
  const parsed = createMemo(() => parseJson(text()))
  createEffect(
    on(
      () => pretty(props.decoder),
      (now) => {
        const shown = parsed()
        if (shown.error !== undefined || pretty(shown.value) !== now) setText(now)
      },
      { defer: true },
    ),
  )
  const complaints = createMemo(() => decoderComplaints(props.decoder, props.interfaces))
  const complaintAt = (path: string): string | undefined => complaints().find((c) => c.path === path)?.text
  const type = (): DecoderType => typeOf(props.decoder) ?? 'CAN_SIGNAL'
  // "0x1F" and "1.50" stay as they are typed for as long as they mean what the document says.
  const [typed, setTyped] = createSignal<{ key: string; text: string }>()
  const shown = (rule: FieldRule): string => {
    const value = fieldValue(props.decoder, type(), rule.key)
    const own = typed()
    if (own?.key === rule.key && valueOf(rule, own.text) === value) return own.text
    return value === undefined || value === null ? '' : String(value)
  }
  const put = (rule: FieldRule, value: unknown): void => props.onChange(withField(props.decoder, type(), rule.key, value))
  function write(now: string): void {
    setText(now)
    const read = parseJson(now)
    if (read.error === undefined && isObject(read.value)) props.onChange(read.value)
  }
  const usable = (): { value: string; label: string }[] => {
    const fit = props.interfaces.filter((one) => one.type === interfaceFor[type()]).map((one) => textOf(one, 'interfaceId'))
    const own = textOf(props.decoder, 'interfaceId')
    return [...new Set([...fit, own])].map((id) => ({ value: id, label: id || t('editor.choose') }))
  }
  const pathOf = (rule: FieldRule): string => complaints().find((c) => c.path.endsWith(`/${rule.key}`))?.path ?? ''
  const field = (rule: FieldRule): JSX.Element => {
    const label = t(`decoder.${rule.key}` as 'decoder.startBit')
    switch (rule.kind) {
      case 'flag':
        return <Check label={label} checked={fieldValue(props.decoder, type(), rule.key) === true} onChange={(on) => put(rule, on || rule.required ? on : undefined)} />
      case 'choice':
        return <SelectField label={label} value={shown(rule)} choices={[{ value: '', label: t('decoder.notstated') }, ...(rule.choices ?? []).map((value) => ({ value, label: word('decoder.choice', value) }))]} onChange={(value) => put(rule, value || undefined)} error={complaintAt(pathOf(rule))} force />
      default:
        return <TextField label={label} value={shown(rule)} onInput={(value) => { setTyped({ key: rule.key, text: value }); put(rule, valueOf(rule, value)) }} error={complaintAt(pathOf(rule))} optional={rule.required ? '' : t('field.optional')} code={rule.kind === 'text'} />
    }
  }
  const others = (): Complaint[] => complaints().filter((c) => !decoderFields[type()].some((rule) => c.path.endsWith(`/${rule.key}`)) && c.path !== '/interfaceId')
  return (
    <div class="decoder-editor">
      <div class="decoder-form">
        <fieldset disabled={props.readonly} class="form">
          <legend class="code">{textOf(props.decoder, 'fullyQualifiedName')}</legend>
          <div class="form-pair">
            <SelectField label={t('column.type')} value={type()} choices={decoderTypes.map((value) => ({ value, label: word('decoder.type', value) }))} onChange={(value) => props.onChange({ ...props.decoder, type: value })} />
            <SelectField label={t('decoder.interface')} value={textOf(props.decoder, 'interfaceId')} choices={usable()} onChange={(interfaceId) => props.onChange({ ...props.decoder, interfaceId })} error={complaintAt('/interfaceId')} force />
          </div>
          <div class="decoder-fields">
            <For each={decoderFields[type()]}>{(rule) => field(rule)}</For>
          </div>
        </fieldset>
        <Show when={!props.readonly}>
          <button type="button" class="button danger-text" onClick={() => props.onRemove()}>
            {t('decoder.remove')}
          </button>
        </Show>
      </div>
      <div class="decoder-document">
        <label for="decoder-document">{t('decoder.document')}</label>
        <textarea id="decoder-document" class="input code" rows={18} spellcheck={false} readonly={props.readonly} value={text()} aria-describedby="decoder-answer" aria-invalid={parsed().error !== undefined || complaints().length > 0 || undefined} onInput={(event) => write(event.currentTarget.value)} />
        <div id="decoder-answer" aria-live="polite">
          <Show
            when={parsed().error === undefined}
            fallback={
              <Status tone="critical">
                {t('document.json', { why: parsed().error ?? '' })}
                <Show when={parsed().line}> {t('document.place', { line: parsed().line ?? 0, column: parsed().column ?? 0 })}</Show>
              </Status>
            }
          >
            <Show when={complaints().length > 0} fallback={<Status tone={props.refused ? 'warning' : 'ok'}>{props.refused ?? t('document.fine')}</Status>}>
              <ul class="decoder-complaints">
                <For each={others().length ? others() : complaints()}>
                  {(c) => (
                    <li>
                      <Status tone="critical">
                        <span class="code">{c.path}</span> {c.text}
                      </Status>
                    </li>
                  )}
                </For>
              </ul>
            </Show>
          </Show>
        </div>
      </div>
    </div>
  )
}
