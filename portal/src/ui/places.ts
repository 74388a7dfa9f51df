// The pages that exist, in the order of the rail. Navigation, palette and the "g" keys come from here.
import type { Component } from 'solid-js'
import type { LucideProps } from 'lucide-solid'
import Gauge from 'lucide-solid/icons/gauge'
import MapIcon from 'lucide-solid/icons/map'
import Megaphone from 'lucide-solid/icons/list-checks'
import Radio from 'lucide-solid/icons/radio-tower'
import Settings from 'lucide-solid/icons/settings'
import Truck from 'lucide-solid/icons/truck'
import Waves from 'lucide-solid/icons/audio-waveform'
import type { Key } from '../text/text'

export interface Place {
  path: string
  name: Key
  /** For the narrow bar; absent: the name. */
  short?: Key
  letter: string
  icon: Component<LucideProps>
  permission: string
}

export const places: Place[] = [
  { path: '/', name: 'page.centre', short: 'page.centre.short', letter: 'c', icon: Gauge, permission: 'vehicle:read' },
  { path: '/map', name: 'page.map', letter: 'm', icon: MapIcon, permission: 'vehicle:read' },
  { path: '/vehicles', name: 'page.vehicles', letter: 'v', icon: Truck, permission: 'vehicle:read' },
  { path: '/campaigns', name: 'page.campaigns', letter: 'p', icon: Megaphone, permission: 'campaign:read' },
  { path: '/devices', name: 'page.devices', letter: 'd', icon: Radio, permission: 'system:read' },
  { path: '/signals', name: 'page.signals', letter: 's', icon: Waves, permission: 'signal:read' },
  { path: '/settings', name: 'page.settings', letter: 'e', icon: Settings, permission: 'self:read' },
]
