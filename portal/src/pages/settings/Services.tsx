// Services: MQTT clients that are no vehicles, each with a policy and, if it wants one, a password.
import { Show, createSignal, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { Service } from '../../api/types'
import { moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { Confirm, type Question } from '../../ui/Confirm'
import { Dialog } from '../../ui/Dialog'
import { Field, TextField } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { emptyPolicy, fieldOf, passwordProblem, policyProblem, serviceNameValid } from './service'

/** The server's complaint about one field, until that field or another is changed. */
function useRefusal(): { of: (field: string) => string | undefined; other: () => ApiError | undefined; set: (error: ApiError | undefined) => void } {
  const [error, set] = createSignal<ApiError>()
  const at = (): string => {
    const e = error()
    return e ? fieldOf(e.status, e.field) : ''
  }
  return { of: (field) => (at() === field ? error()?.detail || error()?.title : undefined), other: () => (at() ? undefined : error()), set }
}

const failed = (cause: unknown): ApiError => (cause instanceof ApiError ? cause : new ApiError(0, String(cause), '', '', ''))

function CreateDialog(props: { onClose: () => void; onDone: () => void }): JSX.Element {
  const [name, setName] = createSignal('')
  const [policy, setPolicy] = createSignal(emptyPolicy)
  const [password, setPassword] = createSignal('')
  const [tried, setTried] = createSignal(false)
  const [busy, setBusy] = createSignal(false)
  const refusal = useRefusal()
  const change = (set: (value: string) => void) => (value: string): void => {
    refusal.set(undefined)
    set(value)
  }
  const nameError = (): string | undefined => (serviceNameValid(name()) ? refusal.of('name') : t('service.name.error'))
  const policyError = (): string | undefined => policyProblem(policy()) ?? refusal.of('policy')
  const passwordError = (): string | undefined => (password() ? passwordProblem(password()) : undefined) ?? refusal.of('password')
  async function create(): Promise<void> {
    setTried(true)
    if (nameError() || policyError() || passwordError() || busy()) return
    setBusy(true)
    try {
      await call('service_create', { body: { name: name(), policy: policy(), ...(password() ? { password: password() } : {}) } })
      props.onDone()
      props.onClose()
    } catch (cause) {
      refusal.set(failed(cause))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog wide title={t('service.add')} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void create()
        }}
      >
        <TextField label={t('service.name')} code value={name()} onInput={change(setName)} help={t('service.name.help')} error={nameError()} force={tried()} autofocus />
        <Field label={t('service.policy')} help={t('service.policy.help')} error={policyError()} force={tried()}>
          {(ids) => (
            <textarea
              id={ids().id}
              class="input code"
              rows={8}
              spellcheck={false}
              value={policy()}
              aria-describedby={ids().describedBy}
              aria-invalid={ids().invalid || undefined}
              onInput={(event) => change(setPolicy)(event.currentTarget.value)}
              onBlur={() => ids().leave()}
            />
          )}
        </Field>
        <TextField label={t('signin.password')} type="password" autocomplete="new-password" optional={t('field.optional')} value={password()} onInput={change(setPassword)} help={t('service.password.help')} error={passwordError()} force={tried()} />
        <Failure error={refusal.other()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary" disabled={busy()}>
            {t('service.create')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

function PasswordDialog(props: { service: Service; onClose: () => void; onDone: () => void }): JSX.Element {
  const [password, setPassword] = createSignal('')
  const [tried, setTried] = createSignal(false)
  const [busy, setBusy] = createSignal(false)
  const refusal = useRefusal()
  const error = (): string | undefined => passwordProblem(password()) ?? refusal.of('password')
  async function save(): Promise<void> {
    setTried(true)
    if (error() || busy()) return
    setBusy(true)
    try {
      await call('service_update', { path: { id: props.service.id }, body: { password: password() } })
      props.onDone()
      props.onClose()
    } catch (cause) {
      const e = failed(cause)
      // The password is all that was sent: a refusal of what was sent is about it.
      refusal.set(e.status === 400 || e.status === 422 ? new ApiError(e.status, e.title, e.detail, e.requestId, '/password') : e)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Dialog title={t('service.password.title', { name: props.service.name })} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void save()
        }}
      >
        <p class="dialog-text">{t('service.password.text')}</p>
        <TextField
          label={t('password.next')}
          type="password"
          autocomplete="new-password"
          value={password()}
          onInput={(value) => {
            refusal.set(undefined)
            setPassword(value)
          }}
          help={t('service.password.rule')}
          error={error()}
          force={tried()}
          autofocus
        />
        <Failure error={refusal.other()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary" disabled={busy()}>
            {t('service.password.do')}
          </button>
        </div>
      </form>
    </Dialog>
  )
}

export function Services(): JSX.Element {
  const list = useLoad(
    () => true,
    (_, signal) => call('service_list', signal),
  )
  const [adding, setAdding] = createSignal(false)
  const [changing, setChanging] = createSignal<Service>()
  const [question, setQuestion] = createSignal<Question>()
  const toggle = (service: Service): void => {
    const { id, name, disabled } = service
    const what = disabled ? 'enable' : 'disable'
    setQuestion({
      title: t(`user.${what}.title`, { name }),
      text: t(`service.${what}.text`),
      deed: t(`user.${what}`),
      danger: !disabled,
      act: async () => {
        await call('service_update', { path: { id }, body: { disabled: !disabled } })
        await list.again()
      },
    })
  }
  const columns = (): Column<Service>[] => [
    { id: 'name', header: t('service.one'), cell: (s) => <span class="cell-name code">{s.name}</span>, value: (s) => s.name },
    { id: 'state', header: t('column.state'), width: '7rem', cell: (s) => <Status tone={s.disabled ? 'offline' : 'ok'}>{s.disabled ? t('user.disabled') : t('user.active')}</Status>, value: (s) => (s.disabled ? 'disabled' : 'active') },
    { id: 'password', header: t('service.entry'), wide: true, width: '11rem', cell: (s) => (s.password ? t('service.entry.password') : t('service.entry.certificate')), value: (s) => (s.password ? 'password' : 'certificate') },
    { id: 'created', header: t('service.created'), wide: true, width: '9rem', cell: (s) => <span class="soft">{moment(parse(s.created), second())}</span>, value: (s) => parse(s.created) },
    {
      id: 'deeds', header: t('column.deeds'), width: '13rem',
      cell: (s) => (
        <Show when={may('certificate:write')}>
          <span class="cell-deeds">
            <button class="button quiet" onClick={() => setChanging({ ...s })}>
              {t('password.next')}
            </button>
            <button class="button quiet" onClick={() => toggle(s)}>
              {s.disabled ? t('user.enable') : t('user.disable')}
            </button>
          </span>
        </Show>
      ),
    },
  ]
  return (
    <section class="settings-part" id="services">
      <h2>{t('service.title')}</h2>
      <div class="settings-wide">
        <Failure error={list.error()} retry={() => void list.again()} />
        <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={2} /></Show>}>
          {(value) => (
            <Show when={value().items.length > 0} fallback={<Empty text={t('service.none')} />}>
              <Table name="services" height="auto" label={t('service.title')} rows={value().items} columns={columns()} rowKey={(s) => s.id} sort="name" />
            </Show>
          )}
        </Show>
        <Show when={may('certificate:write')}>
          <p class="deeds">
            <button class="button" onClick={() => setAdding(true)}>
              {t('service.add')}
            </button>
          </p>
        </Show>
      </div>
      <Show when={adding()}>
        <CreateDialog onClose={() => setAdding(false)} onDone={() => void list.again()} />
      </Show>
      <Show when={changing()}>{(s) => <PasswordDialog service={s()} onClose={() => setChanging(undefined)} onDone={() => void list.again()} />}</Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </section>
  )
}
