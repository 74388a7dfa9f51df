// A campaign that goes to its first vehicles before the rest: how they do, what it waits for, and the step to all.
import { For, Show, createSignal, type JSX } from 'solid-js'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { Campaign, CampaignRollout } from '../../api/types'
import { whole } from '../../format/number'
import { moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { Confirm, type Question } from '../../ui/Confirm'
import { Status, type Tone } from '../../ui/Mark'
import { Failure, Skeleton } from '../../ui/Notice'

export function Stage(props: { campaign: Campaign; onChange: () => Promise<void> }): JSX.Element {
  const stage = useLoad(
    () => props.campaign.id,
    (id, signal) => call('campaign_rollout', { path: { id } }, signal),
    { every: 4000 },
  )
  const [question, setQuestion] = createSignal<Question>()
  const counts = (s: CampaignRollout): [string, number, Tone][] => [
    [t('stage.sent'), s.sent, 'plain'],
    [t('stage.confirmed'), s.confirmed, 'ok'],
    [t('stage.refused'), s.refused, s.refused ? 'critical' : 'plain'],
    [t('stage.errors'), s.errors, s.errors ? 'warning' : 'plain'],
    [t('stage.silent'), s.silent, s.silent ? 'warning' : 'plain'],
  ]
  const turn = (phase: CampaignRollout['phase']): void => {
    setQuestion({
      title: t(`stage.${phase}.title`, { name: props.campaign.name }),
      text: t(`stage.${phase}.text`),
      deed: t(`stage.${phase}.do`),
      act: async () => {
        await call('campaign_rollout_set', { path: { id: props.campaign.id }, body: { phase } })
        await Promise.all([stage.again(), props.onChange()])
      },
    })
  }
  return (
    <section class="stage" aria-label={t('stage.title')}>
      <Failure error={stage.error()} stale={!!stage.value()} retry={() => void stage.again()} />
      <Show when={stage.value()} fallback={<Show when={!stage.error()}><Skeleton rows={2} /></Show>}>
        {(s) => (
          <>
            <div class="section-head">
              <h2>{t('stage.title')}</h2>
              <Status tone={props.campaign.stopped ? 'critical' : s().phase === 'rest' ? 'ok' : 'notice'}>{t(`stage.phase.${s().phase}`, { count: s().reached })}</Status>
              <span class="grow" />
              <Show when={may('campaign:write') && props.campaign.status === 'running'}>
                <button class="button" classList={{ primary: s().phase === 'first' && s().ready }} onClick={() => turn(s().phase === 'first' ? 'rest' : 'first')}>
                  {t(s().phase === 'first' ? 'stage.rest.do' : 'stage.first.do')}
                </button>
              </Show>
            </div>
            <p class="small">
              {s().text && `${s().text.charAt(0).toUpperCase()}${s().text.slice(1)}.`}
              <Show when={s().held_since}> {t('stage.held', { time: moment(parse(s().held_since), second()) })}</Show>
            </p>
            <dl class="try-figures">
              <For each={counts(s())}>
                {([name, value, tone]) => (
                  <div>
                    <dt>
                      <Status tone={tone}>{name}</Status>
                    </dt>
                    <dd>{whole(value)}</dd>
                  </div>
                )}
              </For>
            </dl>
          </>
        )}
      </Show>
      <Show when={question()}>{(q) => <Confirm question={q()} onClose={() => setQuestion(undefined)} />}</Show>
    </section>
  )
}
