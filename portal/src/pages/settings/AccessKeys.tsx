// Access keys of the AWS face: what an AWS SDK or command line signs its requests with. A secret is shown once.
import { Show, createSignal, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { AccessKey, AccessKeyCreated, Me } from '../../api/types'
import { age, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t, word } from '../../text/text'
import { Confirm, type Question } from '../../ui/Confirm'
import { Dialog } from '../../ui/Dialog'
import { SelectField, TextField, type Choice } from '../../ui/Field'
import { Status } from '../../ui/Mark'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { credentialsFile } from './access-key'

function Copied(props: { label: string; text: string }): JSX.Element {
  const [copied, setCopied] = createSignal(false)
  return (
    <p class="secret">
      <span class="soft small">{props.label}</span>
      <code>{props.text}</code>
      <button
        type="button"
        class="button"
        onClick={() => {
          void navigator.clipboard.writeText(props.text).then(() => setCopied(true))
        }}
      >
        {copied() ? t('action.copied') : t('action.copy')}
      </button>
    </p>
  )
}

function CreateDialog(props: { roles: Choice<Me['role']>[]; onClose: () => void; onDone: () => void }): JSX.Element {
  const [name, setName] = createSignal('')
  const [role, setRole] = createSignal<Me['role']>('viewer')
  const [tried, setTried] = createSignal(false)
  const [made, setMade] = createSignal<AccessKeyCreated>()
  const [error, setError] = createSignal<ApiError>()
  const nameError = (): string | undefined => (name().trim() && name().length <= 64 ? undefined : t('token.name.error'))
  async function create(): Promise<void> {
    setTried(true)
    if (nameError()) return
    try {
      setMade(await call('access_key_create', { body: { name: name().trim(), role: role() } }))
      props.onDone()
    } catch (cause) {
      if (cause instanceof ApiError) setError(cause)
    }
  }
  return (
    <Dialog title={t('key.add')} onClose={() => props.onClose()} wide>
      <Show
        when={made()}
        fallback={
          <form
            class="form"
            onSubmit={(event) => {
              event.preventDefault()
              void create()
            }}
          >
            <TextField label={t('key.name')} value={name()} onInput={setName} help={t('token.name.help')} error={nameError()} force={tried()} autofocus />
            <SelectField label={t('user.role')} value={role()} onChange={setRole} choices={props.roles} />
            <Failure error={error()} />
            <div class="dialog-deeds">
              <button type="button" class="button" onClick={() => props.onClose()}>
                {t('action.cancel')}
              </button>
              <button class="button primary">{t('key.add')}</button>
            </div>
          </form>
        }
      >
        {(key) => (
          <div class="form">
            <p class="once">{t('key.once')}</p>
            <Copied label={t('key.id')} text={key().access_key.key_id} />
            <Copied label={t('key.secret')} text={key().secret} />
            <p class="soft small">{t('key.how')}</p>
            <pre class="expression-shown" tabindex={0}>
              {credentialsFile(key().access_key.key_id, key().secret, location.origin)}
            </pre>
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

export function AccessKeys(props: { roles: Choice<Me['role']>[] }): JSX.Element {
  const list = useLoad(
    () => true,
    (_, signal) => call('access_key_list', signal),
  )
  const [adding, setAdding] = createSignal(false)
  const [question, setQuestion] = createSignal<Question>()
  const revoke = (key: AccessKey): void => {
    setQuestion({
      title: t('key.revoke.title', { name: key.name, id: key.key_id }),
      text: t('key.revoke.text'),
      deed: t('token.revoke'),
      danger: true,
      act: async () => {
        await call('access_key_revoke', { path: { id: key.id } })
        await list.again()
      },
    })
  }
  const columns = (): Column<AccessKey>[] => [
    { id: 'name', header: t('key.name'), cell: (k) => <span class="cell-name">{k.name}</span>, value: (k) => k.name },
    { id: 'id', header: t('key.id'), width: '13rem', cell: (k) => <span class="code">{k.key_id}</span>, value: (k) => k.key_id },
    { id: 'role', header: t('user.role'), width: '7rem', cell: (k) => word('role', k.role), value: (k) => k.role },
    { id: 'state', header: t('column.state'), width: '8rem', cell: (k) => <span title={k.usable ? undefined : t('key.unusable.why')}><Status tone={k.usable ? 'ok' : 'critical'}>{t(k.usable ? 'key.usable' : 'key.unusable')}</Status></span>, value: (k) => (k.usable ? 1 : 0) },
    { id: 'used', header: t('token.used'), wide: true, width: '8rem', cell: (k) => <span class="soft">{k.last_used ? age(second() - parse(k.last_used)) : t('user.never')}</span>, value: (k) => parse(k.last_used) },
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
    <section class="settings-part" id="access-keys">
      <h2>{t('key.title')}</h2>
      <div class="settings-wide">
        <p class="soft small">{t('key.what')}</p>
        <Failure error={list.error()} retry={() => void list.again()} />
        <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={2} /></Show>}>
          {(value) => (
            <Show when={value().items.length > 0} fallback={<Empty text={t('key.none')} />}>
              <Table name="access-keys" height="auto" label={t('key.title')} rows={value().items} columns={columns()} rowKey={(k) => k.id} sort="name" />
            </Show>
          )}
        </Show>
        <Show when={may('token:write')}>
          <p class="deeds">
            <button class="button" onClick={() => setAdding(true)}>
              {t('key.add')}
            </button>
          </p>
        </Show>
      </div>
      <Show when={adding()}>
        <CreateDialog roles={props.roles} onClose={() => setAdding(false)} onDone={() => void list.again()} />
      </Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </section>
  )
}
