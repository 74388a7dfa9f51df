// Ctrl K: pages, vehicles, campaigns and commands by name. A combobox over a listbox, driven from the text field.
import { useNavigate } from '@solidjs/router'
import { For, Show, createMemo, createSignal, createUniqueId, onCleanup, onMount, type JSX } from 'solid-js'
import { call } from '../api/client'
import { useLoad } from '../api/load'
import { may } from '../api/session'
import { rowOf, vehicles } from '../live/directory'
import { t, word } from '../text/text'
import { commands } from './commands'
import { Mark, motionTone, type Tone } from './Mark'
import { places } from './places'
import { rank } from './rank'

interface Hit {
  go: () => void
  name: string
  detail: string
  tone?: Tone
}

export function Palette(props: { onClose: () => void }): JSX.Element {
  const navigate = useNavigate()
  const id = createUniqueId()
  const [query, setQuery] = createSignal('')
  const [at, setAt] = createSignal(0)
  let box!: HTMLDialogElement
  let field!: HTMLInputElement
  onMount(() => {
    box.showModal()
    field.focus()
  })
  onCleanup(() => box.close())

  const campaigns = useLoad(
    () => may('campaign:read') || undefined,
    (_, signal) => call('campaign_list', signal),
  )
  const hits = createMemo((): Hit[] => {
    const q = query().trim()
    const found: { hit: Hit; rank: number }[] = []
    for (const place of places) {
      if (!may(place.permission)) continue
      const r = q ? rank(t(place.name), q) : 0
      if (r >= 0) found.push({ hit: { go: () => navigate(place.path), name: t(place.name), detail: t('palette.page') }, rank: r - 0.5 })
    }
    for (const command of commands) {
      if (!may(command.permission)) continue
      const r = q ? rank(t(command.name), q) : 1
      if (r >= 0) found.push({ hit: { go: () => command.run(navigate), name: t(command.name), detail: t('palette.command') }, rank: r - 0.25 })
    }
    for (const campaign of (q && campaigns.value()?.items) || []) {
      const r = rank(campaign.name, q)
      if (r >= 0) found.push({ hit: { go: () => navigate(`/campaigns/${campaign.id}`), name: campaign.name, detail: `${t('column.campaign')} · ${word('campaign', campaign.status)}` }, rank: r })
    }
    for (const vehicle of vehicles()?.values() ?? []) {
      const ranks = [vehicle.name, vehicle.vin, `${vehicle.make} ${vehicle.model}`].map((text) => (q ? rank(text, q) : 2)).filter((r) => r >= 0)
      if (!ranks.length) continue
      const row = rowOf(vehicle)
      found.push({
        hit: {
          go: () => navigate(`/vehicles/${vehicle.id}`),
          name: vehicle.name,
          detail: [word('motion', row.motion), `${vehicle.make} ${vehicle.model}`.trim(), vehicle.vin].filter(Boolean).join(' · '),
          tone: row.late ? 'warning' : motionTone[row.motion],
        },
        rank: Math.min(...ranks),
      })
    }
    found.sort((a, b) => a.rank - b.rank || a.hit.name.localeCompare(b.hit.name, undefined, { numeric: true }))
    return found.slice(0, 12).map((f) => f.hit)
  })
  const go = (hit: Hit | undefined): void => {
    if (!hit) return
    props.onClose()
    hit.go()
  }
  function key(event: KeyboardEvent): void {
    const n = hits().length
    if (event.key === 'ArrowDown') setAt((at() + 1) % Math.max(1, n))
    else if (event.key === 'ArrowUp') setAt((at() + n - 1) % Math.max(1, n))
    else if (event.key === 'Enter') go(hits()[at()])
    else return
    event.preventDefault()
  }
  return (
    <dialog ref={box} class="palette" aria-label={t('palette.title')} onCancel={(event) => (event.preventDefault(), props.onClose())} onClick={(event) => event.target === box && props.onClose()}>
      <div class="palette-in">
        <input
          ref={field}
          class="palette-field"
          type="text"
          role="combobox"
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={hits().length ? `${id}-${at()}` : undefined}
          aria-label={t('palette.title')}
          placeholder={t('palette.hint')}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => {
            setQuery(event.currentTarget.value)
            setAt(0)
          }}
          onKeyDown={key}
        />
        <ul id={id} role="listbox" aria-label={t('palette.title')} class="palette-list">
          <For each={hits()}>
            {(hit, i) => (
              <li id={`${id}-${i()}`} role="option" aria-selected={i() === at()} class="palette-hit" onPointerMove={() => setAt(i())} onClick={() => go(hit)}>
                <span class="palette-mark">
                  <Show when={hit.tone}>{(tone) => <Mark tone={tone()} />}</Show>
                </span>
                <span class="palette-name">{hit.name}</span>
                <span class="soft small cut">{hit.detail}</span>
              </li>
            )}
          </For>
        </ul>
        <Show when={hits().length === 0}>
          <p class="palette-none soft">{t('palette.none', { query: query() })}</p>
        </Show>
      </div>
    </dialog>
  )
}
