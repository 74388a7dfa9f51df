// A vehicle in a few lines: name, state, speed, age, what it is.
import { Show, type JSX } from 'solid-js'
import type { Row } from '../../live/directory'
import { quantity } from '../../format/number'
import { age } from '../../format/time'
import { t } from '../../text/text'
import { MotionStatus } from '../../ui/Mark'

export function VehicleSummary(props: { row: Row }): JSX.Element {
  const facts = (): string => [props.row.vehicle.make, props.row.vehicle.model, props.row.vehicle.year].filter(Boolean).join(' ')
  return (
    <div class="summary">
      <h2 class="cut">{props.row.name}</h2>
      <p class="summary-line">
        <MotionStatus motion={props.row.motion} late={props.row.late} />
        <Show when={props.row.motion === 'moving'}>
          <span>{quantity(props.row.speed, 'km/h', 0)}</span>
        </Show>
        <span class="soft">{Number.isNaN(props.row.age) ? t('age.never') : age(props.row.age)}</span>
      </p>
      <Show when={facts()}>
        <p class="soft small cut">{facts()}</p>
      </Show>
    </div>
  )
}
