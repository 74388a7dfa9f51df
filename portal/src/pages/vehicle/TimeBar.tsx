// The bar under a live page: "Live", or a past moment that the whole page goes to. Slider, arrow keys and a field.
import { Show, type JSX } from 'solid-js'
import { dateTime, localField, span } from '../../format/time'
import { serverNow } from '../../live/clock'
import { t } from '../../text/text'
import { Segments } from '../../ui/Field'
import { ranges, type Range, type Window } from './window'

const reach = 24 * 3_600_000

export function TimeBar(props: { window: Window; now: number; onChange: (changes: Record<string, string | undefined>) => void }): JSX.Element {
  const back = (): number => Math.max(-reach, Math.min(0, props.window.to - props.now))
  return (
    <div class="time-bar" role="group" aria-label={t('time.bar')}>
      <button class="button time-live" aria-pressed={props.window.live} onClick={() => props.onChange({ at: undefined, from: undefined, to: undefined, range: props.window.range === 'custom' ? '15m' : props.window.range })}>
        <span class="time-dot" aria-hidden="true" />
        {t('time.live')}
      </button>
      <Segments
        label={t('time.range')}
        hideLabel
        value={props.window.range}
        choices={(['15m', '1h', '6h', '24h', 'custom'] as Range[]).map((value) => ({ value, label: t(`time.${value}` as 'time.15m') }))}
        onChange={(range) =>
          props.onChange(
            range === 'custom'
              ? { range, from: String(Math.round(props.window.from)), to: String(Math.round(props.window.to)), at: undefined }
              : { range, from: undefined, to: undefined },
          )
        }
      />
      <Show
        when={props.window.range === 'custom'}
        fallback={
          <>
            <input
              class="time-slider"
              type="range"
              min={-reach}
              max={0}
              step={10_000}
              value={props.window.live ? 0 : back()}
              aria-label={t('time.moment')}
              aria-valuetext={props.window.live ? t('time.live') : t('time.at', { time: dateTime(props.window.to), span: span(-back()) })}
              onInput={(event) => {
                const value = Number(event.currentTarget.value)
                props.onChange({ at: value >= -5000 ? undefined : String(Math.round(serverNow() + value)) })
              }}
            />
            <input
              class="input time-field"
              type="datetime-local"
              step={1}
              aria-label={t('time.moment')}
              value={localField(props.window.to)}
              onChange={(event) => {
                const ms = Date.parse(event.currentTarget.value)
                if (Number.isFinite(ms)) props.onChange({ at: ms >= props.now - 5000 ? undefined : String(ms) })
              }}
            />
          </>
        }
      >
        <span class="time-span">
          <span class="soft">{t('time.since')}</span>
          <input class="input time-field" type="datetime-local" step={1} aria-label={t('time.from')} value={localField(props.window.from)} onChange={(event) => props.onChange({ from: String(Date.parse(event.currentTarget.value)) })} />
          <span class="soft">{t('time.until')}</span>
          <input class="input time-field" type="datetime-local" step={1} aria-label={t('time.to')} value={localField(props.window.to)} onChange={(event) => props.onChange({ to: String(Date.parse(event.currentTarget.value)) })} />
        </span>
      </Show>
      <span class="time-ago soft small">{props.window.live ? t('time.now') : props.window.range in ranges ? t('age.ago', { span: span(props.now - props.window.to) }) : ''}</span>
    </div>
  )
}
