// What the palette can do beside going to a page: each command is one line, with the permission that it needs.
import { signOut } from '../api/session'
import type { Key } from '../text/text'
import { setThemeChoice, theme } from './preferences'

export interface Command {
  name: Key
  permission: string
  run: (navigate: (path: string) => void) => void
}

export const commands: Command[] = [
  { name: 'vehicle.add', permission: 'vehicle:write', run: (navigate) => navigate('/vehicles?add=1') },
  { name: 'campaign.new', permission: 'campaign:write', run: (navigate) => navigate('/campaigns/new') },
  { name: 'import.title', permission: 'signal:write', run: (navigate) => navigate('/signals/import') },
  { name: 'fleet.title', permission: 'vehicle:read', run: (navigate) => navigate('/fleets') },
  { name: 'template.title', permission: 'campaign:read', run: (navigate) => navigate('/templates') },
  { name: 'manifest.all', permission: 'signal:read', run: (navigate) => navigate('/signals/manifests') },
  { name: 'command.theme', permission: 'self:read', run: () => setThemeChoice(theme() === 'dark' ? 'light' : 'dark') },
  { name: 'frame.out', permission: 'self:read', run: () => void signOut() },
]
