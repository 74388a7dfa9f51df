// Sign-in by password, or by a one-time link whose code stands in the address's fragment (never sent by the browser).
import { Show, createEffect, createSignal, type JSX } from 'solid-js'
import { ApiError, call } from '../../api/client'
import { signedIn } from '../../api/session'
import { TextField } from '../../ui/Field'
import { Logo } from '../../ui/Logo'
import { Failure } from '../../ui/Notice'
import { t } from '../../text/text'

export function SignIn(props: { code: string | undefined }): JSX.Element {
  const [name, setName] = createSignal('')
  const [password, setPassword] = createSignal('')
  const [busy, setBusy] = createSignal(false)
  const [linking, setLinking] = createSignal(false)
  const [error, setError] = createSignal<ApiError>()

  async function enter(how: () => Promise<void>): Promise<void> {
    setBusy(true)
    setError(undefined)
    try {
      await how()
    } catch (cause) {
      const refused = cause instanceof ApiError ? cause : new ApiError(0, String(cause), '', '', '')
      setError(refused.status === 401 && refused.detail ? new ApiError(401, t('signin.refused'), refused.detail, '', '') : refused)
    } finally {
      setBusy(false)
      setLinking(false)
    }
  }

  createEffect(() => {
    const code = props.code
    if (!code) return
    history.replaceState(null, '', location.pathname + location.search)
    setLinking(true)
    void enter(async () => signedIn(await call('sign_in_link', { body: { code } })))
  })

  return (
    <main class="sign-in">
      <div class="sign-in-sheet">
        <h1 class="sign-in-mark">
          <Logo size={32} />
          {t('brand')}
        </h1>
        <Show when={!linking()} fallback={<p class="soft" role="status">{t('signin.link')}</p>}>
          <form
            onSubmit={(event) => {
              event.preventDefault()
              void enter(async () => signedIn(await call('sign_in', { body: { name: name(), password: password() } })))
            }}
          >
            <TextField label={t('signin.name')} value={name()} onInput={setName} autocomplete="username" required autofocus />
            <TextField label={t('signin.password')} value={password()} onInput={setPassword} type="password" autocomplete="current-password" required />
            <Failure error={error()} />
            <button class="button primary wide-button" type="submit" disabled={busy() || !name() || !password()}>
              {busy() ? t('signin.busy') : t('signin.do')}
            </button>
          </form>
          <p class="small soft">{t('signin.help')}</p>
        </Show>
      </div>
    </main>
  )
}
