// All live vehicles in one WebGL layer. The fleet's typed arrays feed one instance buffer; only what changed is uploaded.
import { MercatorCoordinate, type CustomLayerInterface, type CustomRenderMethodInput, type Map as MapGl } from 'maplibre-gl'
import { fleet, type Update } from '../live/fleet'
import { tokenUnit } from './colour'
import { fragmentSource, vertexSource } from './shader'

const stride = 10 // floats an instance: from xy, to xy, t0, t1, heading from, to, status, flags
export const flag = { selected: 1, hovered: 2, hidden: 4 } as const
export const status = { unknown: 0, moving: 1, idle: 2, parked: 3, offline: 4, late: 5 } as const
const noHeading = -1000
const longestGlide = 10 // seconds: a longer pause between reports is a jump, not a drive

export const mercatorX = (longitude: number): number => (longitude + 180) / 360
export const mercatorY = (latitude: number): number => {
  const s = Math.sin((Math.max(-85.05, Math.min(85.05, latitude)) * Math.PI) / 180)
  return 0.5 - Math.log((1 + s) / (1 - s)) / (4 * Math.PI)
}

export function radiusAt(zoom: number): number {
  const stops = [[8, 5], [11, 6.2], [13, 7.6], [15, 10], [18, 14]] as const
  for (let i = 1; i < stops.length; i++) {
    const [z1, r1] = stops[i] ?? [0, 0]
    const [z0, r0] = stops[i - 1] ?? [0, 0]
    if (zoom <= z1) return r0 + (r1 - r0) * Math.max(0, Math.min(1, (zoom - z0) / (z1 - z0)))
  }
  return 14
}

export class VehicleLayer implements CustomLayerInterface {
  readonly id = 'vehicles'
  readonly type = 'custom' as const
  readonly renderingMode = '2d' as const

  private map: MapGl | undefined
  private gl: WebGL2RenderingContext | undefined
  private program: WebGLProgram | null = null
  private array: WebGLVertexArrayObject | null = null
  private corners: WebGLBuffer | null = null
  private buffer: WebGLBuffer | null = null
  private bufferSize = 0
  private place: Record<string, WebGLUniformLocation | null> = {}
  private colours = new Float32Array(21)
  private edge: [number, number, number] = [1, 1, 1]

  private data = new Float32Array(0)
  /** Latest position in absolute mercator, for the anchor's sake in double precision; also feeds picking. */
  x = new Float64Array(0)
  y = new Float64Array(0)
  private heard = new Float64Array(0)
  private anchorX = 0.5
  private anchorY = 0.5
  private dirtyFrom = Infinity
  private dirtyTo = -1
  private movingUntil = 0
  private readonly born = performance.now()
  private timers: ReturnType<typeof setInterval>[] = []
  private repaint: ReturnType<typeof setTimeout> | undefined
  private stopListening: () => void = () => undefined
  private still = matchMedia('(prefers-reduced-motion: reduce)')

  private selected = 0
  private hovered = 0
  private shown: (id: number) => boolean = () => true
  private clustered = new Uint8Array(0)

  get count(): number {
    return fleet.count
  }

  onAdd(map: MapGl, context: WebGLRenderingContext | WebGL2RenderingContext): void {
    const gl = context as WebGL2RenderingContext
    this.map = map
    this.gl = gl
    this.program = link(gl)
    for (const name of ['u_matrix', 'u_pixel', 'u_now', 'u_radius', 'u_bearing', 'u_colour', 'u_edge']) {
      this.place[name] = gl.getUniformLocation(this.program, name)
    }
    this.array = gl.createVertexArray()
    gl.bindVertexArray(this.array)
    this.corners = gl.createBuffer()
    gl.bindBuffer(gl.ARRAY_BUFFER, this.corners)
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW)
    gl.enableVertexAttribArray(0)
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0)
    this.buffer = gl.createBuffer()
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer)
    const parts = [[1, 4, 0], [2, 4, 16], [3, 2, 32]] as const
    for (const [at, size, offset] of parts) {
      gl.enableVertexAttribArray(at)
      gl.vertexAttribPointer(at, size, gl.FLOAT, false, stride * 4, offset)
      gl.vertexAttribDivisor(at, 1)
    }
    gl.bindVertexArray(null)
    this.recolour()
    const centre = MercatorCoordinate.fromLngLat(map.getCenter())
    this.anchorX = centre.x
    this.anchorY = centre.y
    this.rebuild()
    this.stopListening = fleet.listen((update) => this.update(update))
    this.timers.push(setInterval(() => this.sweep(), 1000))
  }

  onRemove(_map: MapGl, context: WebGLRenderingContext | WebGL2RenderingContext): void {
    const gl = context as WebGL2RenderingContext
    this.stopListening()
    for (const timer of this.timers) clearInterval(timer)
    clearTimeout(this.repaint)
    gl.deleteBuffer(this.buffer)
    gl.deleteBuffer(this.corners)
    gl.deleteVertexArray(this.array)
    gl.deleteProgram(this.program)
    this.map = undefined
    this.gl = undefined
  }

  recolour(): void {
    const names = ['--offline', '--ok', '--notice', '--parked', '--offline', '--warning', '--accent']
    names.forEach((name, i) => this.colours.set(tokenUnit(name), i * 3))
    this.edge = tokenUnit('--sheet')
    this.map?.triggerRepaint()
  }

  select(id: number): void {
    this.selected = id
    this.relook()
  }
  hover(id: number): void {
    if (id === this.hovered) return
    this.hovered = id
    this.relook()
  }
  filter(shown: (id: number) => boolean): void {
    this.shown = shown
    this.relook()
  }
  isShown(slot: number): boolean {
    return (fleet.known[slot] ?? 0) === 1 && this.shown(fleet.id[slot] ?? 0)
  }
  /** Which slots stand in a cluster, hence are not drawn one by one. */
  cluster(members: Uint8Array<ArrayBuffer> | undefined): void {
    if (members) this.clustered = members
    else if (this.clustered.length === 0) return
    else this.clustered = new Uint8Array(0)
    this.relook()
  }

  statusOf(slot: number): number {
    return fleet.late(slot) ? status.late : (fleet.motion[slot] ?? 0)
  }

  /** Where the vehicle is drawn right now, in absolute mercator. */
  drawn(slot: number): [number, number] {
    const at = slot * stride
    const d = this.data
    const t0 = d[at + 4] ?? 0
    const t1 = d[at + 5] ?? 0
    const part = t1 > t0 ? Math.max(0, Math.min(1, (this.now() - t0) / (t1 - t0))) : 1
    const mix = (a = 0, b = 0): number => a + (b - a) * part
    return [this.anchorX + mix(d[at], d[at + 2]), this.anchorY + mix(d[at + 1], d[at + 3])]
  }

  private now(): number {
    return (performance.now() - this.born) / 1000
  }

  private room(): void {
    const need = fleet.id.length
    if (this.x.length >= need) return
    const grown = <T extends Float32Array | Float64Array>(old: T, size: number, make: new (n: number) => T): T => {
      const next = new make(size)
      next.set(old)
      return next
    }
    this.x = grown(this.x, need, Float64Array)
    this.y = grown(this.y, need, Float64Array)
    this.heard = grown(this.heard, need, Float64Array)
    this.data = grown(this.data, need * stride, Float32Array)
  }

  private look(slot: number): void {
    const id = fleet.id[slot] ?? 0
    const at = slot * stride
    const hidden = !this.isShown(slot) || (this.clustered[slot] === 1 && id !== this.selected)
    this.data[at + 8] = this.statusOf(slot)
    this.data[at + 9] = (id === this.selected ? flag.selected : 0) + (id === this.hovered ? flag.hovered : 0) + (hidden ? flag.hidden : 0)
  }

  private relook(): void {
    if (!this.map) return
    for (let slot = 0; slot < fleet.count; slot++) this.look(slot)
    this.dirty(0, fleet.count - 1)
    this.map.triggerRepaint()
  }

  private sweep(): void {
    let changed = false
    for (let slot = 0; slot < fleet.count; slot++) {
      if (this.data[slot * stride + 8] !== this.statusOf(slot)) {
        this.look(slot)
        this.dirty(slot, slot)
        changed = true
      }
    }
    if (changed) this.map?.triggerRepaint()
  }

  private dirty(from: number, to: number): void {
    if (from < this.dirtyFrom) this.dirtyFrom = from
    if (to > this.dirtyTo) this.dirtyTo = to
  }

  /** Puts a vehicle where it is, without a glide: at the start, after a full frame, or when the anchor moved. */
  private put(slot: number): void {
    const x = mercatorX(fleet.longitude[slot] ?? 0)
    const y = mercatorY(fleet.latitude[slot] ?? 0)
    this.x[slot] = x
    this.y[slot] = y
    const heading = fleet.heading[slot] ?? NaN
    const angle = Number.isNaN(heading) ? noHeading : (heading * Math.PI) / 180
    const at = slot * stride
    this.data.set([x - this.anchorX, y - this.anchorY, x - this.anchorX, y - this.anchorY, 0, 0, angle, angle], at)
    this.look(slot)
  }

  private rebuild(): void {
    this.room()
    for (let slot = 0; slot < fleet.count; slot++) this.put(slot)
    this.dirty(0, fleet.count - 1)
    this.map?.triggerRepaint()
  }

  private update(update: Update): void {
    this.room()
    if (update.full) {
      this.heard.fill(0)
      this.rebuild()
      return
    }
    const now = this.now()
    for (let i = 0; i < update.count; i++) {
      const slot = update.slots[i] ?? 0
      this.dirty(slot, slot)
      const x = mercatorX(fleet.longitude[slot] ?? 0)
      const y = mercatorY(fleet.latitude[slot] ?? 0)
      const before = this.heard[slot] ?? 0
      const pause = now - before
      const jump = Math.hypot(x - (this.x[slot] ?? x), y - (this.y[slot] ?? y)) > 2.5e-5 // about 1 km
      if (x === this.x[slot] && y === this.y[slot] && before > 0) {
        this.look(slot)
        continue
      }
      this.heard[slot] = now
      if (before === 0 || this.still.matches || jump || pause > longestGlide) {
        this.put(slot)
        continue
      }
      const [fromX, fromY] = this.drawn(slot)
      const at = slot * stride
      const d = this.data
      const t0 = d[at + 4] ?? 0
      const t1 = d[at + 5] ?? 0
      const done = t1 > t0 ? Math.max(0, Math.min(1, (now - t0) / (t1 - t0))) : 1
      let angle = (d[at + 6] ?? 0) + ((d[at + 7] ?? 0) - (d[at + 6] ?? 0)) * done
      const heading = fleet.heading[slot] ?? NaN
      let to = noHeading
      if (!Number.isNaN(heading)) {
        to = (heading * Math.PI) / 180
        if (angle < -100) angle = to
        to += Math.round((angle - to) / (2 * Math.PI)) * 2 * Math.PI
      } else angle = noHeading
      this.x[slot] = x
      this.y[slot] = y
      const arrive = now + Math.max(0.2, pause * 1.05)
      d.set([fromX - this.anchorX, fromY - this.anchorY, x - this.anchorX, y - this.anchorY, now, arrive, angle, to], at)
      this.look(slot)
      if (arrive > this.movingUntil) this.movingUntil = arrive
    }
    this.map?.triggerRepaint()
  }

  /** Far from the anchor, 32-bit floats would jitter at street level. */
  private reanchor(map: MapGl): void {
    const centre = MercatorCoordinate.fromLngLat(map.getCenter())
    if (Math.hypot(centre.x - this.anchorX, centre.y - this.anchorY) < 0.01 || map.getZoom() < 10) return
    this.anchorX = centre.x
    this.anchorY = centre.y
    this.rebuild()
  }

  render(_gl: WebGLRenderingContext | WebGL2RenderingContext, args: CustomRenderMethodInput): void {
    const { gl, map } = this
    if (!gl || !map || fleet.count === 0) return
    this.reanchor(map)
    gl.bindVertexArray(this.array)
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer)
    if (this.data.byteLength !== this.bufferSize) {
      gl.bufferData(gl.ARRAY_BUFFER, this.data, gl.DYNAMIC_DRAW)
      this.bufferSize = this.data.byteLength
    } else if (this.dirtyTo >= this.dirtyFrom) {
      gl.bufferSubData(gl.ARRAY_BUFFER, this.dirtyFrom * stride * 4, this.data, this.dirtyFrom * stride, (this.dirtyTo - this.dirtyFrom + 1) * stride)
    }
    this.dirtyFrom = Infinity
    this.dirtyTo = -1

    const canvas = map.getCanvas()
    const ratio = canvas.width / Math.max(1, canvas.clientWidth)
    gl.useProgram(this.program)
    gl.uniformMatrix4fv(this.place.u_matrix ?? null, false, shifted(args.defaultProjectionData.mainMatrix, this.anchorX, this.anchorY))
    gl.uniform2f(this.place.u_pixel ?? null, (2 * ratio) / canvas.width, (2 * ratio) / canvas.height)
    gl.uniform1f(this.place.u_now ?? null, this.now())
    gl.uniform1f(this.place.u_radius ?? null, radiusAt(map.getZoom()))
    gl.uniform1f(this.place.u_bearing ?? null, (map.getBearing() * Math.PI) / 180)
    gl.uniform3fv(this.place.u_colour ?? null, this.colours)
    gl.uniform3f(this.place.u_edge ?? null, ...this.edge)
    gl.disable(gl.DEPTH_TEST)
    gl.disable(gl.STENCIL_TEST)
    gl.disable(gl.CULL_FACE)
    gl.enable(gl.BLEND)
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, fleet.count)
    gl.bindVertexArray(null)

    // Thirty pictures a second are enough for cars, and only while something moves.
    if (this.now() < this.movingUntil && this.repaint === undefined) {
      this.repaint = setTimeout(() => {
        this.repaint = undefined
        this.map?.triggerRepaint()
      }, 33)
    }
  }
}

/** matrix × translate(x, y), in double precision before it is rounded to floats. */
function shifted(matrix: ArrayLike<number>, x: number, y: number): Float32Array {
  const out = new Float32Array(16)
  for (let i = 0; i < 16; i++) out[i] = matrix[i] ?? 0
  for (let row = 0; row < 4; row++) {
    out[12 + row] = (matrix[row] ?? 0) * x + (matrix[4 + row] ?? 0) * y + (matrix[12 + row] ?? 0)
  }
  return out
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram()
  for (const [type, source] of [[gl.VERTEX_SHADER, vertexSource], [gl.FRAGMENT_SHADER, fragmentSource]] as const) {
    const shader = gl.createShader(type)
    if (!shader) throw new Error('WebGL: no shader')
    gl.shaderSource(shader, source)
    gl.compileShader(shader)
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(`WebGL: ${gl.getShaderInfoLog(shader) ?? ''}`)
    gl.attachShader(program, shader)
    gl.deleteShader(shader)
  }
  gl.linkProgram(program)
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`WebGL: ${gl.getProgramInfoLog(program) ?? ''}`)
  return program
}
