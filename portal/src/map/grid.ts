// Picking without asking the GPU: points in a uniform grid over absolute mercator, as linked lists in typed arrays.
export class PickGrid {
  private head = new Map<number, number>()
  private next = new Int32Array(0)
  private cell = 1

  /** cell: side of a grid cell, in mercator units. */
  build(count: number, x: Float64Array, y: Float64Array, cell: number, keep: (slot: number) => boolean): void {
    if (this.next.length < count) this.next = new Int32Array(Math.max(count, this.next.length * 2))
    this.head.clear()
    this.cell = cell
    for (let slot = 0; slot < count; slot++) {
      if (!keep(slot)) continue
      const key = this.key(Math.floor((x[slot] ?? 0) / cell), Math.floor((y[slot] ?? 0) / cell))
      this.next[slot] = this.head.get(key) ?? -1
      this.head.set(key, slot)
    }
  }

  /** The slot drawn nearest to (px, py) within reach; -1: none. It looks twice as far in the grid: what glides is drawn behind. */
  nearest(px: number, py: number, reach: number, at: (slot: number) => [number, number]): number {
    let best = -1
    let bestDistance = reach
    const x0 = Math.floor((px - 2 * reach) / this.cell)
    const x1 = Math.floor((px + 2 * reach) / this.cell)
    const y0 = Math.floor((py - 2 * reach) / this.cell)
    const y1 = Math.floor((py + 2 * reach) / this.cell)
    for (let cx = x0; cx <= x1; cx++) {
      for (let cy = y0; cy <= y1; cy++) {
        for (let slot = this.head.get(this.key(cx, cy)) ?? -1; slot >= 0; slot = this.next[slot] ?? -1) {
          const [x, y] = at(slot)
          const distance = Math.hypot(x - px, y - py)
          if (distance < bestDistance) {
            bestDistance = distance
            best = slot
          }
        }
      }
    }
    return best
  }

  private key(cx: number, cy: number): number {
    return cx * 67108864 + cy
  }
}
