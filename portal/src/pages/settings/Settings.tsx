// How it looks here, one's own password, and for those who may: users and API tokens.
import { For, Show, createSignal, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may, me } from '../../api/session'
import type { Token, User } from '../../api/types'
import { setSystem, system } from '../../format/number'
import { age, dateTime, moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { Confirm, type Question } from '../../ui/Confirm'
import { Dialog } from '../../ui/Dialog'
import { Segments, SelectField, TextField } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { density, setDensity, setThemeChoice, themeChoice } from '../../ui/preferences'
import { Table, type Column } from '../../ui/Table'
import { AccessKeys } from './AccessKeys'
import { Services } from './Services'

type Role = User['role']
const roles: Role[] = ['viewer', 'operator', 'admin']
const roleChoices = (): { value: Role; label: string }[] => roles.filter((r) => roles.indexOf(r) <= roles.indexOf(me()?.role ?? 'viewer')).map((value) => ({ value, label: t(`role.${value}.long`) }))

function Look(): JSX.Element {
  return (
    <section class="settings-part" id="look">
      <h2>{t('settings.look')}</h2>
      <div class="settings-body">
        <Segments label={t('settings.theme')} value={themeChoice()} onChange={setThemeChoice} choices={(['system', 'light', 'dark'] as const).map((value) => ({ value, label: t(`settings.theme.${value}`) }))} />
        <Segments label={t('settings.density')} value={density()} onChange={setDensity} choices={(['compact', 'comfortable'] as const).map((value) => ({ value, label: t(`settings.density.${value}`) }))} />
        <Segments label={t('settings.units')} value={system()} onChange={setSystem} choices={(['metric', 'imperial'] as const).map((value) => ({ value, label: t(`settings.units.${value}`) }))} />
        <p class="small soft">{t('settings.here')}</p>
      </div>
    </section>
  )
}

function Password(): JSX.Element {
  const [current, setCurrent] = createSignal('')
  const [next, setNext] = createSignal('')
  const [tried, setTried] = createSignal(false)
  const [done, setDone] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const nextError = (): string | undefined => (next().length >= 10 ? undefined : t('password.short'))
  async function change(): Promise<void> {
    setTried(true)
    setDone(false)
    setError(undefined)
    if (nextError() || !current()) return
    try {
      await call('password_change', { body: { current: current(), password: next() } })
      setDone(true)
      setTried(false)
      setCurrent('')
      setNext('')
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <section class="settings-part" id="password">
      <h2>{t('password.title')}</h2>
      <form
        class="settings-body"
        onSubmit={(event) => {
          event.preventDefault()
          void change()
        }}
      >
        <input class="hidden-text" type="text" autocomplete="username" value={me()?.name ?? ''} tabindex={-1} aria-hidden="true" readonly />
        <TextField label={t('password.current')} type="password" autocomplete="current-password" value={current()} onInput={setCurrent} error={current() ? undefined : t('password.need')} force={tried()} />
        <TextField label={t('password.next')} type="password" autocomplete="new-password" value={next()} onInput={setNext} help={t('password.help')} error={next() || tried() ? nextError() : undefined} force={tried()} />
        <Failure error={error()} />
        <p class="deeds">
          <button class="button">{t('password.do')}</button>
          <Show when={done()}>
            <Status tone="ok">{t('password.done')}</Status>
          </Show>
        </p>
      </form>
    </section>
  )
}

function UserDialog(props: { user: User | undefined; onClose: () => void; onDone: () => void }): JSX.Element {
  const [name, setName] = createSignal('')
  const [password, setPassword] = createSignal('')
  const [role, setRole] = createSignal<Role>('viewer')
  if (props.user) setRole(() => props.user?.role ?? 'viewer')
  const [tried, setTried] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const nameError = (): string | undefined => (props.user || /^[a-zA-Z0-9._@-]{1,64}$/.test(name()) ? undefined : t('user.name.error'))
  const passwordError = (): string | undefined => (props.user && !password() ? undefined : password().length >= 10 ? undefined : t('password.short'))
  async function save(): Promise<void> {
    setTried(true)
    if (nameError() || passwordError()) return
    try {
      if (props.user) await call('user_update', { path: { id: props.user.id }, body: { role: role(), ...(password() ? { password: password() } : {}) } })
      else await call('user_create', { body: { name: name(), password: password(), role: role() } })
      props.onDone()
      props.onClose()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={props.user ? t('user.edit', { name: props.user.name }) : t('user.add')} onClose={() => props.onClose()}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void save()
        }}
      >
        <Show when={!props.user}>
          <TextField label={t('signin.name')} value={name()} onInput={setName} error={nameError()} force={tried()} autofocus />
        </Show>
        <SelectField label={t('user.role')} value={role()} onChange={setRole} choices={roleChoices()} />
        <TextField label={props.user ? t('user.newpassword') : t('signin.password')} type="password" autocomplete="new-password" value={password()} onInput={setPassword} optional={props.user ? t('field.optional') : ''} help={t('password.help')} error={passwordError()} force={tried()} />
        <Failure error={error()} />
        <div class="dialog-deeds">
          <button type="button" class="button" onClick={() => props.onClose()}>
            {t('action.cancel')}
          </button>
          <button class="button primary">{props.user ? t('action.save') : t('user.add')}</button>
        </div>
      </form>
    </Dialog>
  )
}

function Users(): JSX.Element {
  const list = useLoad(
    () => true,
    (_, signal) => call('user_list', signal),
  )
  const [editing, setEditing] = createSignal<{ user?: User }>()
  const [question, setQuestion] = createSignal<Question>()
  const toggle = (user: User): void => {
    const what = user.disabled ? 'enable' : 'disable'
    setQuestion({
      title: t(`user.${what}.title`, { name: user.name }),
      text: t(`user.${what}.text`),
      deed: t(`user.${what}`),
      danger: !user.disabled,
      act: async () => {
        await call('user_update', { path: { id: user.id }, body: { disabled: !user.disabled } })
        await list.again()
      },
    })
  }
  const columns = (): Column<User>[] => [
    { id: 'name', header: t('signin.name'), cell: (u) => <span class="cell-name">{u.name}</span>, value: (u) => u.name },
    { id: 'role', header: t('user.role'), width: '7rem', cell: (u) => word('role', u.role), value: (u) => u.role },
    { id: 'state', header: t('column.state'), width: '7rem', cell: (u) => <Status tone={u.disabled ? 'offline' : 'ok'}>{u.disabled ? t('user.disabled') : t('user.active')}</Status>, value: (u) => (u.disabled ? 'disabled' : 'active') },
    { id: 'last', header: t('user.last'), wide: true, width: '9rem', cell: (u) => <span class="soft">{u.last_sign_in ? moment(parse(u.last_sign_in), second()) : t('user.never')}</span>, value: (u) => parse(u.last_sign_in) },
    {
      id: 'deeds', header: t('column.deeds'), width: '11rem',
      cell: (u) => (
        <Show when={may('user:write')}>
          <span class="cell-deeds">
            <button class="button quiet" onClick={() => setEditing({ user: u })}>
              {t('action.edit')}
            </button>
            <button class="button quiet" disabled={u.name === me()?.name} onClick={() => toggle(u)}>
              {u.disabled ? t('user.enable') : t('user.disable')}
            </button>
          </span>
        </Show>
      ),
    },
  ]
  return (
    <section class="settings-part" id="users">
      <h2>{t('user.title')}</h2>
      <div class="settings-wide">
        <Failure error={list.error()} retry={() => void list.again()} />
        <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={3} /></Show>}>
          {(value) => <Table name="users" height="auto" label={t('user.title')} rows={value().items} columns={columns()} rowKey={(u) => u.id} sort="name" />}
        </Show>
        <Show when={may('user:write')}>
          <p class="deeds">
            <button class="button" onClick={() => setEditing({})}>
              {t('user.add')}
            </button>
          </p>
        </Show>
      </div>
      <Show when={editing()}>{(what) => <UserDialog user={what().user} onClose={() => setEditing(undefined)} onDone={() => void list.again()} />}</Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </section>
  )
}

function TokenDialog(props: { onClose: () => void; onDone: () => void }): JSX.Element {
  const [name, setName] = createSignal('')
  const [role, setRole] = createSignal<Role>('viewer')
  const [expires, setExpires] = createSignal('')
  const [secret, setSecret] = createSignal('')
  const [tried, setTried] = createSignal(false)
  const [copied, setCopied] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()
  const nameError = (): string | undefined => (name().trim() && name().length <= 64 ? undefined : t('token.name.error'))
  async function create(): Promise<void> {
    setTried(true)
    if (nameError()) return
    try {
      const made = await call('token_create', { body: { name: name(), role: role(), ...(expires() ? { expires: new Date(expires()).toISOString() } : {}) } })
      setSecret(made.secret)
      props.onDone()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={t('token.add')} onClose={() => props.onClose()}>
      <Show
        when={secret()}
        fallback={
          <form
            class="form"
            onSubmit={(event) => {
              event.preventDefault()
              void create()
            }}
          >
            <TextField label={t('token.name')} value={name()} onInput={setName} help={t('token.name.help')} error={nameError()} force={tried()} autofocus />
            <SelectField label={t('user.role')} value={role()} onChange={setRole} choices={roleChoices()} />
            <TextField label={t('token.expires')} type="datetime-local" value={expires()} onInput={setExpires} optional={t('field.optional')} help={t('token.expires.help')} />
            <Failure error={error()} />
            <div class="dialog-deeds">
              <button type="button" class="button" onClick={() => props.onClose()}>
                {t('action.cancel')}
              </button>
              <button class="button primary">{t('token.add')}</button>
            </div>
          </form>
        }
      >
        <div class="form">
          <p class="once">{t('token.once')}</p>
          <p class="secret">
            <code>{secret()}</code>
            <button
              class="button"
              onClick={() => {
                void navigator.clipboard.writeText(secret()).then(() => setCopied(true))
              }}
            >
              {copied() ? t('action.copied') : t('action.copy')}
            </button>
          </p>
          <div class="dialog-deeds">
            <button class="button primary" onClick={() => props.onClose()}>
              {t('action.done')}
            </button>
          </div>
        </div>
      </Show>
    </Dialog>
  )
}

function Tokens(): JSX.Element {
  const list = useLoad(
    () => true,
    (_, signal) => call('token_list', signal),
  )
  const [adding, setAdding] = createSignal(false)
  const [question, setQuestion] = createSignal<Question>()
  const revoke = (token: Token): void => {
    setQuestion({
      title: t('token.revoke.title', { name: token.name }),
      text: t('token.revoke.text'),
      deed: t('token.revoke'),
      danger: true,
      act: async () => {
        await call('token_revoke', { path: { id: token.id } })
        await list.again()
      },
    })
  }
  const columns = (): Column<Token>[] => [
    { id: 'name', header: t('token.name'), cell: (k) => <span class="cell-name">{k.name}</span>, value: (k) => k.name },
    { id: 'role', header: t('user.role'), width: '7rem', cell: (k) => word('role', k.role), value: (k) => k.role },
    { id: 'used', header: t('token.used'), wide: true, width: '8rem', cell: (k) => <span class="soft">{k.last_used ? age(second() - parse(k.last_used)) : t('user.never')}</span>, value: (k) => parse(k.last_used) },
    { id: 'expires', header: t('token.expires'), wide: true, width: '11rem', cell: (k) => <span class="soft">{k.expires ? dateTime(parse(k.expires)) : t('token.forever')}</span>, value: (k) => parse(k.expires) },
    {
      id: 'deeds', header: t('column.deeds'), width: '7rem',
      cell: (k) => (
        <Show when={may('token:write')}>
          <button class="button quiet danger-text" onClick={() => revoke(k)}>
            {t('token.revoke')}
          </button>
        </Show>
      ),
    },
  ]
  return (
    <section class="settings-part" id="tokens">
      <h2>{t('token.title')}</h2>
      <div class="settings-wide">
        <Failure error={list.error()} retry={() => void list.again()} />
        <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={2} /></Show>}>
          {(value) => (
            <Show when={value().items.length > 0} fallback={<Empty text={t('token.none')} />}>
              <Table name="tokens" height="auto" label={t('token.title')} rows={value().items} columns={columns()} rowKey={(k) => k.id} sort="name" />
            </Show>
          )}
        </Show>
        <Show when={may('token:write')}>
          <p class="deeds">
            <button class="button" onClick={() => setAdding(true)}>
              {t('token.add')}
            </button>
          </p>
        </Show>
      </div>
      <Show when={adding()}>
        <TokenDialog onClose={() => setAdding(false)} onDone={() => void list.again()} />
      </Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </section>
  )
}

export default function Settings(): JSX.Element {
  const parts = (): { show: boolean; part: () => JSX.Element }[] => [
    { show: true, part: () => <Look /> },
    { show: me()?.kind === 'user' && may('self:write'), part: () => <Password /> },
    { show: may('user:read'), part: () => <Users /> },
    { show: may('token:read'), part: () => <Tokens /> },
    { show: may('token:read'), part: () => <AccessKeys roles={roleChoices()} /> },
    { show: may('certificate:read'), part: () => <Services /> },
  ]
  return (
    <div class="page page-narrow">
      <header class="page-head">
        <h1>{t('page.settings')}</h1>
      </header>
      <For each={parts().filter((p) => p.show)}>{(p) => p.part()}</For>
    </div>
  )
}
