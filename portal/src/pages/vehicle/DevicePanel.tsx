// The device behind the vehicle: its connection in words, and its certificates.
import { For, Show, createSignal, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { Certificate, CertificateIssued, Client, Vehicle } from '../../api/types'
import { whole } from '../../format/number'
import { age, dateTime, parse, span } from '../../format/time'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { connectionWords } from '../devices/client'
import { Confirm, type Question } from '../../ui/Confirm'
import { Dialog } from '../../ui/Dialog'
import { TextField } from '../../ui/Field'
import { Status, type Tone } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'

function Connection(props: { id: number }): JSX.Element {
  const client = useLoad(
    () => props.id,
    (id, signal) => call('vehicle_connection', { path: { id } }, signal),
    { every: 3000 },
  )
  const facts = (c: Client): [string, string][] => {
    second()
    return [
      [t('connection.client'), c.client_id],
      [t('connection.packet'), c.last_packet ? age(second() - parse(c.last_packet)) : '–'],
      [t('connection.session'), c.clean ? t('connection.clean') : t('connection.kept')],
      [t('connection.keepalive'), `${whole(c.keep_alive)} s`],
      [t('connection.received'), whole(c.received)],
      [t('connection.delivered'), whole(c.delivered)],
      [t('connection.refused'), whole(c.refused)],
      [t('connection.queued'), `${whole(c.queued)} / ${whole(c.inflight)}`],
      [t('connection.subscriptions'), whole(c.subscriptions)],
    ]
  }
  return (
    <section class="panel" aria-label={t('connection.title')}>
      <div class="section-head">
        <h2>{t('connection.title')}</h2>
      </div>
      <Show when={client.error()?.status !== 404} fallback={<Empty text={t('connection.none')} />}>
        <Failure error={client.error()} stale={!!client.value()} />
        <Show when={client.value()} fallback={<Show when={!client.error()}><Skeleton rows={4} /></Show>}>
          {(c) => (
            <>
              <p class="connection-words">
                <Status tone={c().connected ? 'ok' : 'offline'}>{connectionWords(c(), second())}</Status>
              </p>
              <dl class="facts">
                <For each={facts(c())}>
                  {([name, value]) => (
                    <div>
                      <dt>{name}</dt>
                      <dd>{value}</dd>
                    </div>
                  )}
                </For>
              </dl>
            </>
          )}
        </Show>
      </Show>
    </section>
  )
}

function download(name: string, text: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/x-pem-file' }))
  link.download = name
  link.click()
  URL.revokeObjectURL(link.href)
}

function IssueDialog(props: { vehicle: Vehicle; onClose: () => void; onDone: () => void }): JSX.Element {
  const [days, setDays] = createSignal('365')
  const [issued, setIssued] = createSignal<CertificateIssued>()
  const [error, setError] = createSignal<ApiError>()
  const daysError = (): string | undefined => (/^\d+$/.test(days()) && Number(days()) >= 1 && Number(days()) <= 3650 ? undefined : t('certificate.days.error'))
  async function issue(): Promise<void> {
    if (daysError()) return
    try {
      setIssued(await call('certificate_issue', { path: { id: props.vehicle.id }, body: { days: Number(days()) } }))
      props.onDone()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  const file = (part: string): string => `${props.vehicle.name}.${part}.pem`
  return (
    <Dialog title={t('certificate.issue')} onClose={() => props.onClose()}>
      <Show
        when={issued()}
        fallback={
          <form
            class="form"
            onSubmit={(event) => {
              event.preventDefault()
              void issue()
            }}
          >
            <p>{t('certificate.issue.text', { name: props.vehicle.name })}</p>
            <TextField label={t('certificate.days')} value={days()} onInput={setDays} type="number" min={1} max={3650} unit={t('unit.days')} error={daysError()} autofocus />
            <Failure error={error()} />
            <div class="dialog-deeds">
              <button type="button" class="button" onClick={() => props.onClose()}>
                {t('action.cancel')}
              </button>
              <button class="button primary">{t('certificate.issue')}</button>
            </div>
          </form>
        }
      >
        {(made) => (
          <div class="form">
            <p class="once">{t('certificate.once')}</p>
            <ul class="downloads">
              <li>
                <button class="button" onClick={() => download(file('key'), made().private_key_pem)}>
                  {t('certificate.key')}
                </button>
              </li>
              <li>
                <button class="button" onClick={() => download(file('certificate'), made().certificate_pem)}>
                  {t('certificate.certificate')}
                </button>
              </li>
              <li>
                <button class="button" onClick={() => download('ca.pem', made().ca_pem)}>
                  {t('certificate.ca')}
                </button>
              </li>
            </ul>
            <div class="dialog-deeds">
              <button class="button primary" onClick={() => props.onClose()}>
                {t('action.done')}
              </button>
            </div>
          </div>
        )}
      </Show>
    </Dialog>
  )
}

function Certificates(props: { vehicle: Vehicle }): JSX.Element {
  const list = useLoad(
    () => props.vehicle.id,
    (id, signal) => call('certificate_list', { path: { id } }, signal),
  )
  const [issuing, setIssuing] = createSignal(false)
  const [question, setQuestion] = createSignal<Question>()
  const tone = (c: Certificate): Tone => (c.state === 'revoked' ? 'critical' : c.state === 'inactive' ? 'offline' : parse(c.not_after) - second() < 30 * 86_400_000 ? 'warning' : 'ok')
  const change = (c: Certificate, state: Certificate['state']): void => {
    setQuestion({
      title: t(`certificate.${state}.title` as 'certificate.revoked.title'),
      text: t(`certificate.${state}.text` as 'certificate.revoked.text', { name: props.vehicle.name, id: c.id.slice(0, 12) }),
      deed: t(`certificate.${state}.deed` as 'certificate.revoked.deed'),
      danger: state === 'revoked',
      act: async () => {
        await call('certificate_update', { path: { fingerprint: c.id }, body: { state } })
        await list.again()
      },
    })
  }
  return (
    <section class="panel" aria-label={t('certificate.title')}>
      <div class="section-head">
        <h2>{t('certificate.title')}</h2>
        <Show when={may('certificate:write')}>
          <button class="button" onClick={() => setIssuing(true)}>
            {t('certificate.issue')}
          </button>
        </Show>
      </div>
      <Failure error={list.error()} retry={() => void list.again()} />
      <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={2} /></Show>}>
        {(value) => (
          <Show when={value().items.length > 0} fallback={<Empty text={t('certificate.none')} />}>
            <ul class="certificates">
              <For each={value().items}>
                {(c) => (
                  <li>
                    <Status tone={tone(c)}>{word('certificate', c.state)}</Status>
                    <code class="cut" title={c.id}>
                      {c.id.slice(0, 16)}
                    </code>
                    <span class="soft small">{t('certificate.until', { date: dateTime(parse(c.not_after)), span: span(parse(c.not_after) - second()) })}</span>
                    <span class="grow" />
                    <Show when={may('certificate:write') && c.state !== 'revoked'}>
                      <button class="button quiet" onClick={() => change(c, c.state === 'active' ? 'inactive' : 'active')}>
                        {c.state === 'active' ? t('certificate.inactive.deed') : t('certificate.active.deed')}
                      </button>
                      <button class="button quiet danger-text" onClick={() => change(c, 'revoked')}>
                        {t('certificate.revoked.deed')}
                      </button>
                    </Show>
                  </li>
                )}
              </For>
            </ul>
          </Show>
        )}
      </Show>
      <Show when={issuing()}>
        <IssueDialog vehicle={props.vehicle} onClose={() => setIssuing(false)} onDone={() => void list.again()} />
      </Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </section>
  )
}

export function DevicePanel(props: { vehicle: Vehicle }): JSX.Element {
  return (
    <div class="device-panel">
      <Connection id={props.vehicle.id} />
      <Show when={may('certificate:read')}>
        <Certificates vehicle={props.vehicle} />
      </Show>
    </div>
  )
}
