// What stands around every page: rail, top bar with health and clock, palette, help, the live region.
import { A, useLocation, useNavigate, type RouteSectionProps } from '@solidjs/router'
import { For, Show, createEffect, createSignal, onCleanup, type JSX } from 'solid-js'
import ChevronDown from 'lucide-solid/icons/chevron-down'
import PanelLeft from 'lucide-solid/icons/panel-left'
import Search from 'lucide-solid/icons/search'
import { may, me, signOut } from '../api/session'
import { call } from '../api/client'
import { useLoad } from '../api/load'
import { second } from '../live/clock'
import * as live from '../live/connection'
import { refresh } from '../live/directory'
import { clockMinutes, clockUtc, span } from '../format/time'
import { t, word } from '../text/text'
import { message } from './announce'
import { Dialog } from './Dialog'
import { installKeys } from './keys'
import { Logo } from './Logo'
import { Mark, type Tone } from './Mark'
import { Menu } from './Menu'
import { Palette } from './Palette'
import { places } from './places'
import { railOpen, setRailOpen } from './preferences'

function Connection(): JSX.Element {
  const health = useLoad(
    () => true,
    (_, signal) => call('health', signal),
    { every: 10_000, key: 'name' },
  )
  const quiet = (): number => {
    second()
    return live.lastFrame() ? Date.now() - live.lastFrame() : NaN
  }
  const tone = (): Tone => {
    if (live.state() === 'waiting') return 'critical'
    if (live.state() !== 'connected') return 'offline'
    if (health.error() || health.value()?.ok === false) return 'critical'
    return quiet() > 15_000 ? 'warning' : 'ok'
  }
  const text = (): string => {
    second()
    if (live.state() === 'waiting') return t('live.waiting', { span: span(Math.max(0, live.retryAt() - Date.now())) })
    if (live.state() !== 'connected') return t('live.connecting')
    return quiet() > 15_000 ? t('live.quiet', { span: span(quiet()) }) : t('live.connected')
  }
  return (
    <Menu label={text()} icon={<Mark tone={tone()} />} class="top-live" end={<ChevronDown size={14} />}>
      <div class="health">
        <h2>{t('health.title')}</h2>
        <p class="small soft">
          {Number.isNaN(quiet()) ? t('health.noframe') : t('health.frame', { span: span(quiet()) })}
          <Show when={live.complaint()}> {live.complaint()}</Show>
        </p>
        <Show when={health.value()} fallback={<p class="small">{health.error()?.message ?? t('state.loading')}</p>}>
          {(value) => (
            <>
              <ul>
                <For each={value().parts}>
                  {(part) => (
                    <li>
                      <Mark tone={part.ok ? 'ok' : 'critical'} />
                      <span class="health-name">{part.name}</span>
                      <span class="soft">{part.text}</span>
                    </li>
                  )}
                </For>
              </ul>
              <p class="small soft">{t('health.version', { version: value().version, span: span(value().uptime_s * 1000) })}</p>
            </>
          )}
        </Show>
        <Show when={live.state() === 'waiting'}>
          <button class="button" onClick={() => live.retryNow()}>
            {t('live.retry')}
          </button>
        </Show>
      </div>
    </Menu>
  )
}

export function Frame(props: RouteSectionProps): JSX.Element {
  const navigate = useNavigate()
  const where = useLocation()
  const [palette, setPalette] = createSignal(false)
  const [help, setHelp] = createSignal(false)

  live.start()
  void refresh()
  const timer = setInterval(() => document.visibilityState === 'visible' && void refresh(), 60_000)
  onCleanup(() => {
    clearInterval(timer)
    live.stop()
  })

  installKeys({
    palette: () => setPalette(true),
    help: () => setHelp(true),
    go: (letter) => {
      const place = places.find((p) => p.letter === letter && may(p.permission))
      if (place) navigate(place.path)
      return !!place
    },
  })
  const shown = (): typeof places => places.filter((place) => may(place.permission))
  const current = (path: string): boolean => (path === '/' ? where.pathname === '/' : where.pathname.startsWith(path))
  // After a change of page the focus goes to its content, as with a page load.
  let main!: HTMLElement
  let first = true
  createEffect(() => {
    void where.pathname
    if (!first) main.focus({ preventScroll: true })
    first = false
  })

  return (
    <div class="frame" classList={{ 'rail-open': railOpen() === 'open' }}>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.focus())}>
        {t('frame.skip')}
      </a>
      <nav class="rail" aria-label={t('frame.pages')}>
        <A href="/" class="rail-mark" aria-label={t('frame.home')}>
          <Logo />
          <span class="rail-label">{t('brand')}</span>
        </A>
        <ul>
          <For each={shown()}>
            {(place) => (
              <li>
                <A href={place.path} class="rail-item" aria-current={current(place.path) ? 'page' : undefined} title={railOpen() === 'open' ? undefined : t(place.name)}>
                  <place.icon size={20} strokeWidth={1.75} />
                  <span class="rail-label" data-short={place.short ? t(place.short) : undefined}>
                    <span>{t(place.name)}</span>
                  </span>
                </A>
              </li>
            )}
          </For>
        </ul>
        <button class="rail-item rail-toggle" onClick={() => setRailOpen(railOpen() === 'open' ? 'closed' : 'open')} aria-expanded={railOpen() === 'open'} title={t('frame.labels')}>
          <PanelLeft size={20} strokeWidth={1.75} />
          <span class="rail-label">{t('frame.labels')}</span>
        </button>
      </nav>
      <header class="top">
        <button class="top-search" onClick={() => setPalette(true)}>
          <Search size={16} />
          <span class="cut">{t('frame.search')}</span>
          <kbd>Ctrl K</kbd>
        </button>
        <span class="grow" />
        <span class="top-tenant soft small cut" title={t('frame.tenant')}>
          {me()?.tenant}
        </span>
        <Connection />
        <span class="top-clock" title={t('frame.clock')}>
          <Show when={clockMinutes(second()) !== clockUtc(second())}>
            <span>{clockMinutes(second())}</span>
          </Show>
          <span class={clockMinutes(second()) === clockUtc(second()) ? '' : 'faint'}>{clockUtc(second())} UTC</span>
        </span>
        <Menu label={me()?.name ?? ''} class="top-user" end={<ChevronDown size={14} />}>
          <div class="user-sheet">
            <p>
              <strong>{me()?.name}</strong>
              <span class="soft small">
                {word('role', me()?.role ?? '')}, {me()?.tenant}
              </span>
            </p>
            <A class="menu-item" href="/settings">
              {t('page.settings')}
            </A>
            <button class="menu-item" onClick={() => setHelp(true)}>
              {t('frame.keys')}
            </button>
            <button class="menu-item" onClick={() => void signOut()}>
              {t('frame.out')}
            </button>
          </div>
        </Menu>
      </header>
      <main id="main" class="main" tabindex={-1} ref={main}>
        {props.children}
      </main>
      <div class="hidden-text" role="status" aria-live="polite">
        {message()}
      </div>
      <Show when={palette()}>
        <Palette onClose={() => setPalette(false)} />
      </Show>
      <Show when={help()}>
        <Dialog title={t('keys.title')} onClose={() => setHelp(false)}>
          <dl class="keys">
            <For
              each={
                [
                  ['Ctrl K', 'keys.palette'],
                  ['/', 'keys.search'],
                  ['j  k', 'keys.list'],
                  ['o  Enter', 'keys.open'],
                  ['?', 'keys.help'],
                  ['Esc', 'keys.close'],
                ] as const
              }
            >
              {([key, what]) => (
                <div>
                  <dt>
                    <kbd>{key}</kbd>
                  </dt>
                  <dd>{t(what)}</dd>
                </div>
              )}
            </For>
            <For each={shown()}>
              {(place) => (
                <div>
                  <dt>
                    <kbd>g</kbd> <kbd>{place.letter}</kbd>
                  </dt>
                  <dd>{t(place.name)}</dd>
                </div>
              )}
            </For>
          </dl>
        </Dialog>
      </Show>
    </div>
  )
}
