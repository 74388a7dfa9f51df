// All campaigns: what runs where, and how many vehicles have confirmed it.
import { A, useNavigate } from '@solidjs/router'
import { Show, type JSX } from 'solid-js'
import Plus from 'lucide-solid/icons/plus'
import { call } from '../../api/client'
import { useLoad } from '../../api/load'
import { may } from '../../api/session'
import type { Campaign } from '../../api/types'
import { whole } from '../../format/number'
import { moment, parse } from '../../format/time'
import { second } from '../../live/clock'
import { t } from '../../text/text'
import { Empty, Failure, Skeleton } from '../../ui/Notice'
import { Table, type Column } from '../../ui/Table'
import { CampaignStatus, Shares, targetWords, triggerWords } from './parts'

function columns(): Column<Campaign>[] {
  return [
    { id: 'name', header: t('column.campaign'), cell: (c) => <A href={`/campaigns/${c.id}`} tabindex={-1} class="cut cell-name">{c.name}</A>, value: (c) => c.name },
    { id: 'status', header: t('column.status'), width: '8rem', cell: (c) => <CampaignStatus status={c.status} />, value: (c) => c.status },
    { id: 'target', header: t('column.target'), wide: true, cell: (c) => <span class="cut">{targetWords(c)}</span>, value: (c) => targetWords(c) },
    { id: 'trigger', header: t('column.trigger'), wide: true, width: '10rem', cell: (c) => <span class="cut">{triggerWords(c)}</span>, value: (c) => triggerWords(c) },
    { id: 'signals', header: t('column.signals'), align: 'right', wide: true, width: '6rem', cell: (c) => whole(c.signals.length), value: (c) => c.signals.length },
    { id: 'vehicles', header: t('column.vehicles'), align: 'right', width: '6.5rem', cell: (c) => whole(c.vehicles), value: (c) => c.vehicles },
    { id: 'state', header: t('column.vehiclestate'), width: '22rem', wide: true, cell: (c) => <Shares healthy={c.healthy} pending={c.pending} refused={c.refused} />, value: (c) => `${c.healthy} / ${c.pending} / ${c.refused}` },
    { id: 'updated', header: t('column.updated'), align: 'right', wide: true, width: '9rem', cell: (c) => <span class="soft">{moment(parse(c.updated), second())}</span>, value: (c) => parse(c.updated) },
  ]
}

export default function Campaigns(): JSX.Element {
  const navigate = useNavigate()
  const list = useLoad(
    () => true,
    (_, signal) => call('campaign_list', signal),
    { every: 4000 },
  )
  return (
    <div class="page page-fill">
      <header class="page-head">
        <h1>{t('page.campaigns')}</h1>
        <span class="grow" />
        <A class="button" href="/templates">
          {t('template.title')}
        </A>
        <Show when={may('campaign:write')}>
          <A class="button primary" href="/campaigns/new">
            <Plus size={16} />
            {t('campaign.new')}
          </A>
        </Show>
      </header>
      <Failure error={list.error()} retry={() => void list.again()} stale={!!list.value()} />
      <Show when={list.value()} fallback={<Show when={!list.error()}><Skeleton rows={8} /></Show>}>
        {(value) => (
          <Show
            when={value().items.length > 0}
            fallback={
              <Empty text={t('campaign.none')}>
                <Show when={may('campaign:write')}>
                  <A class="button primary" href="/campaigns/new">
                    {t('campaign.new')}
                  </A>
                </Show>
              </Empty>
            }
          >
            <Table main tools name="campaigns" label={t('page.campaigns')} rows={value().items} columns={columns()} rowKey={(c) => c.id} sort="name" onOpen={(c) => navigate(`/campaigns/${c.id}`)} />
          </Show>
        )}
      </Show>
    </div>
  )
}
