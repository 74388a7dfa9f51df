// Clusters for low zooms: points that fall close together on the screen become one disc with a count and the worst status.
export interface Cluster {
  x: number
  y: number
  count: number
  worst: number
}

/** How much attention a status needs (index: status of vehicles.ts): late before offline before idle before the rest. */
const severity = [1, 0, 2, 0, 3, 4]
export function worse(a: number, b: number): number {
  return (severity[b] ?? 0) > (severity[a] ?? 0) ? b : a
}

/** cell: mercator size of a cluster's reach. Returns the clusters and, per slot, 1 when it stands in one. */
export function clusters(
  count: number,
  x: Float64Array,
  y: Float64Array,
  cell: number,
  keep: (slot: number) => boolean,
  statusOf: (slot: number) => number,
): { list: Cluster[]; members: Uint8Array<ArrayBuffer> } {
  const members = new Uint8Array(count)
  const cells = new Map<number, number[]>()
  for (let slot = 0; slot < count; slot++) {
    if (!keep(slot)) continue
    const key = Math.floor((x[slot] ?? 0) / cell) * 67108864 + Math.floor((y[slot] ?? 0) / cell)
    const list = cells.get(key)
    if (list) list.push(slot)
    else cells.set(key, [slot])
  }
  const list: Cluster[] = []
  for (const slots of cells.values()) {
    if (slots.length < 2) continue
    const cluster: Cluster = { x: 0, y: 0, count: slots.length, worst: statusOf(slots[0] ?? 0) }
    for (const slot of slots) {
      members[slot] = 1
      cluster.x += (x[slot] ?? 0) / slots.length
      cluster.y += (y[slot] ?? 0) / slots.length
      cluster.worst = worse(cluster.worst, statusOf(slot))
    }
    list.push(cluster)
  }
  // Neighbours across a cell's edge may still cover each other: they become one.
  for (let i = 0; i < list.length; i++) {
    for (let j = i + 1; j < list.length; j++) {
      const [a, b] = [list[i], list[j]]
      if (!a || !b || Math.hypot(a.x - b.x, a.y - b.y) > cell * 0.75) continue
      const total = a.count + b.count
      list[i] = { x: (a.x * a.count + b.x * b.count) / total, y: (a.y * a.count + b.y * b.count) / total, count: total, worst: worse(a.worst, b.worst) }
      list.splice(j--, 1)
    }
  }
  return { list, members }
}
