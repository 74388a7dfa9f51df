// Signal names are paths; people read the end first.
export function shortName(fqn: string): string {
  const parts = fqn.split('.')
  return parts[parts.length - 1] ?? fqn
}
export function branch(fqn: string): string {
  const parts = fqn.split('.')
  return parts.slice(parts[0] === 'Vehicle' && parts.length > 2 ? 1 : 0, -1).join('.')
}
