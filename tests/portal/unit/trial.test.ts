import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CampaignDryRun } from '../../../portal/src/api/types'
import { dailyOf, moneyWords, triedOf } from '../../../portal/src/pages/campaigns/trial'

const run = (more: Partial<CampaignDryRun>): CampaignDryRun => ({ complete: true, targeted: 40, days: 2, samples_read: 9, triggers: 3, messages: 4, rows: 500, bytes: 6000, money: 0, currency: 'EUR', messages_a_day: 80, rows_a_day: 10_000, bytes_a_day: 120_000, money_a_day: 0, vehicles: [], trigger_list: [], ...more })

test('money without a price is nothing, and a small sum keeps the digits that make it one', () => {
  assert.equal(moneyWords(0, 'EUR'), '')
  assert.equal(moneyWords(12.345, 'EUR'), '12.35 EUR')
  assert.equal(moneyWords(0.0123, 'EUR'), '0.012 EUR')
  assert.equal(moneyWords(0.000045, 'USD'), '0.000045 USD')
})

test('what was tried and what a day comes to are the server’s numbers, money only where there is a price', () => {
  assert.deepEqual(triedOf(run({})).map((f) => f.value), ['3', '4', '500', '5.86 KiB'])
  assert.deepEqual(dailyOf(run({ money_a_day: 2.5 })).map((f) => f.value), ['80', '10,000', '117 KiB', '2.50 EUR'])
  assert.deepEqual(dailyOf(run({ days: 0 })), [])
})
