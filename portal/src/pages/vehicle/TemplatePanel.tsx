// State templates of a vehicle: where each stands and why; giving and taking them; activating, silencing and asking once.
import { A } from '@solidjs/router'
import { Show, createEffect, createSignal, onCleanup, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { StateCommand, StateCommandCreate, VehicleTemplate } from '../../api/types'
import { moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { commandTone, commandWords, howSent, secondsOf, templateTone, underWay } from '../templates/template'
import { Confirm, type Question } from '../../ui/Confirm'
import { Dialog } from '../../ui/Dialog'
import { SelectField, TextField } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'

function GiveDialog(props: { vehicle: number; given: readonly string[]; onClose: () => void; onDone: () => void }): JSX.Element {
  const [template, setTemplate] = createSignal('')
  const [period, setPeriod] = createSignal('')
  const [tried, setTried] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const all = useLoad(
    () => true,
    (_, signal) => call('template_list', signal),
  )
  const free = (): string[] => (all.value()?.items ?? []).map((x) => x.name).filter((name) => !props.given.includes(name))
  const chosen = (): string => template() || (free()[0] ?? '')
  const periodError = (): string | undefined => (period() === '' || (/^\d+$/.test(period()) && Number(period()) <= 4_294_967_295) ? undefined : t('template.period.error'))
  async function give(): Promise<void> {
    setTried(true)
    if (!chosen() || periodError()) return
    try {
      await call('vehicle_template_give', { path: { id: props.vehicle }, body: { template: chosen(), period_ms: Number(period() || 0) } })
      props.onDone()
      props.onClose()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={t('template.give')} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void give()
        }}
      >
        <Failure error={all.error()} retry={() => void all.again()} />
        <SelectField label={t('template.one')} value={chosen()} onChange={setTemplate} help={all.value() && free().length === 0 ? t('template.nofree') : undefined} choices={free().map((name) => ({ value: name, label: name }))} />
        <TextField label={t('template.period')} value={period()} onInput={setPeriod} unit="ms" optional={t('field.optional')} help={t('template.period.help')} error={periodError()} force={tried()} class="field-short" />
        <Failure error={error()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary" disabled={!chosen()}>
            {t('template.give')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function ActivateDialog(props: { vehicle: number; template: string; onClose: () => void; onDone: () => void }): JSX.Element {
  const [end, setEnd] = createSignal('')
  const [error, setError] = createSignal<ApiError>()
  const endError = (): string | undefined => (secondsOf(end()) === undefined ? t('template.end.error') : undefined)
  async function activate(): Promise<void> {
    const seconds = secondsOf(end())
    if (seconds === undefined) return
    try {
      await call('vehicle_template_command', { path: { id: props.vehicle, template: props.template }, body: { action: 'activate', ...(seconds ? { deactivate_after_s: seconds } : {}) } })
      props.onDone()
      props.onClose()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={t('template.activate.title', { name: props.template })} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void activate()
        }}
      >
        <p>{t('template.activate.text')}</p>
        <TextField label={t('template.end')} value={end()} onInput={setEnd} unit="s" optional={t('field.optional')} help={t('template.end.help')} error={endError()} class="field-short" autofocus />
        <Failure error={error()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary">{t('command.activate')}</button>
        </div>
      </form>
    </Dialog>
  )
}

function commandColumns(): Column<StateCommand>[] {
  return [
    { id: 'issued', header: t('column.time'), width: '10rem', cell: (c) => <span class="soft">{moment(parse(c.issued), second())}</span>, value: (c) => parse(c.issued) },
    { id: 'action', header: t('template.command'), width: '8rem', cell: (c) => word('command', c.action), value: (c) => c.action },
    { id: 'template', header: t('template.one'), cell: (c) => <span class="cut">{c.template}</span>, value: (c) => c.template },
    { id: 'status', header: t('column.state'), width: '16rem', cell: (c) => <span class="cut" title={commandWords(c)}><Status tone={commandTone[c.status]}>{commandWords(c)}</Status></span>, value: (c) => c.status },
    { id: 'answered', header: t('template.answered'), align: 'right', wide: true, width: '9rem', cell: (c) => <span class="soft">{c.answered ? moment(parse(c.answered), second()) : ''}</span>, value: (c) => parse(c.answered) },
  ]
}

export function TemplatePanel(props: { vehicle: number }): JSX.Element {
  const [giving, setGiving] = createSignal(false)
  const [activating, setActivating] = createSignal<string>()
  const [question, setQuestion] = createSignal<Question>()
  const [error, setError] = createSignal<ApiError>()
  const list = useLoad(
    () => (may('campaign:read') ? props.vehicle : undefined),
    (id, signal) => call('vehicle_templates', { path: { id } }, signal),
    { every: 8000 },
  )
  // An answer to a command comes within a second or so: ask sooner while one is awaited.
  createEffect(() => {
    if (!list.value()?.commands.some(underWay)) return
    const timer = setInterval(() => !list.pending() && void list.again(), 1500)
    onCleanup(() => clearInterval(timer))
  })
  async function command(template: string, action: StateCommandCreate['action']): Promise<void> {
    setError(undefined)
    try {
      await call('vehicle_template_command', { path: { id: props.vehicle, template }, body: { action } })
      await list.again()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  const take = (template: string): void => {
    setQuestion({
      title: t('template.take.title', { name: template }),
      text: t('template.take.text'),
      deed: t('template.take'),
      danger: true,
      act: async () => {
        await call('vehicle_template_take', { path: { id: props.vehicle, template } })
        await list.again()
      },
    })
  }
  const columns = (): Column<VehicleTemplate>[] => [
    { id: 'name', header: t('template.one'), width: '12rem', cell: (x) => <A class="cut cell-name" href={`/templates/${encodeURIComponent(x.template)}`}>{x.template}</A>, value: (x) => x.template },
    { id: 'how', header: t('template.sent'), width: '9rem', wide: true, cell: (x) => <span class="soft">{howSent(x)}</span>, value: (x) => x.period_ms ?? 0 },
    { id: 'state', header: t('column.state'), cell: (x) => <span class="cut" title={x.text}><Status tone={templateTone[x.state]}>{word('delivery', x.state)}</Status> <span class="soft">{x.text ?? word('reason', x.reason)}</span></span>, value: (x) => x.state },
    {
      id: 'deeds', header: t('column.deeds'), width: '21rem',
      cell: (x) => (
        <Show when={may('campaign:write')}>
          <span class="cell-deeds">
            <button class="button quiet" onClick={() => setActivating(x.template)}>
              {t('command.activate')}
            </button>
            <button class="button quiet" onClick={() => void command(x.template, 'deactivate')}>
              {t('command.deactivate')}
            </button>
            <button class="button quiet" onClick={() => void command(x.template, 'fetch')}>
              {t('command.fetch')}
            </button>
            <button class="button quiet danger-text" onClick={() => take(x.template)}>
              {t('template.take')}
            </button>
          </span>
        </Show>
      ),
    },
  ]
  return (
    <Show when={may('campaign:read')}>
      <section class="panel" aria-label={t('template.title')} id="templates">
        <div class="section-head">
          <h2>{t('template.title')}</h2>
          <span class="grow" />
          <Show when={may('campaign:write')}>
            <button class="button" onClick={() => setGiving(true)}>
              {t('template.give')}
            </button>
          </Show>
        </div>
        <Failure error={error()} />
        <Failure error={list.error()} stale={!!list.value()} retry={() => void list.again()} />
        <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={3} /></Show>}>
          {(value) => (
            <>
              <Show when={value().items.length > 0} fallback={<Empty text={t('template.nothere')} />}>
                <Table name="vehicle-templates" height="auto" label={t('template.title')} rows={value().items} columns={columns()} rowKey={(x) => x.template} sort="name" />
              </Show>
              <Show when={value().commands.length > 0}>
                <h3>{t('template.commands')}</h3>
                <Table name="state-commands" height="auto" label={t('template.commands')} rows={value().commands} columns={commandColumns()} rowKey={(c) => c.id} sort="issued" sortDown />
              </Show>
            </>
          )}
        </Show>
        <Show when={giving()}>
          <GiveDialog vehicle={props.vehicle} given={list.value()?.items.map((x) => x.template) ?? []} onClose={() => setGiving(false)} onDone={() => void list.again()} />
        </Show>
        <Show when={activating()}>{(name) => <ActivateDialog vehicle={props.vehicle} template={name()} onClose={() => setActivating(undefined)} onDone={() => void list.again()} />}</Show>
        <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
      </section>
    </Show>
  )
}
